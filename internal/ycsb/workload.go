package ycsb

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/squall-faas/squall/kvs"
)

// Limits of a workload: what is larger is a mistake.
const (
	MaxThreads = 1 << 12
	MaxBatch   = 1 << 16 // operations of one call
	maxRecord  = 1 << 28 // bytes
	maxFields  = 1 << 16
	MaxScan    = 1 << 16
)

// Workload is what is to be done, as a property file says it. Make one with New; it is not changed afterwards, and is
// safe for concurrent use.
type Workload struct {
	Table, KeyPrefix string

	Records                  int64 // that there are after the load
	Operations               int64 // of the run; 0 is until its time is over
	InsertStart, InsertCount int64 // which records are loaded, and chosen by the run

	Mix     Mix
	Request Request
	Scan    Range // how many records a scan reads
	Ordered bool  // names of records follow their numbers, instead of their hashes
	Padding int   // digits that a name's number has at least

	Record Codec // how records are made and verified

	Integrity bool // reads are verified and acknowledged writes accounted for
	Counters  int64

	Threads int
	Target  float64 // operations per second, of all threads; 0 is as many as go
	MaxTime time.Duration

	PerCall int // operations of one call
	Level   kvs.Level
	Ack     kvs.Ack

	Arrival Arrival
	DAG     *DAG // set: an operation is a run of a DAG, and Mix means nothing

	// Ignored are properties that YCSB knows and that mean nothing here, as they were said.
	Ignored []string
	// Properties are all that were said, for reports.
	Properties map[string]string
}

// foreign are properties of YCSB that are accepted, so that its files can be used as they are, and have no effect.
var foreign = []string{
	"db", "exporter", "exportfile", "dotransactions", "status", "status.interval", "label", "measurementtype",
	"measurement.interval", "measurement.raw.output_file", "measurement.trackjvm", "hdrhistogram.percentiles",
	"hdrhistogram.fileoutput", "hdrhistogram.output.path", "histogram.buckets", "timeseries.granularity",
	"reportlatencyforeacherror", "latencytrackederrors", "core_workload_insertion_retry_limit",
	"core_workload_insertion_retry_interval", "readallfieldsbyname", "fieldnameprefix", "fieldlengthhistogram",
	"writeallfields", "readallfields", "warmupexecutiontime", "silence",
}

var workloadNames = []string{"core", "site.ycsb.workloads.CoreWorkload", "com.yahoo.ycsb.workloads.CoreWorkload", "dag"}

// New makes a workload of properties. It reports all that is wrong with them in one invalid_argument: an unknown name, a
// bad value, proportions that do not add up to 1.
func New(p *Properties) (*Workload, error) {
	r := &reader{p: p, known: map[string]bool{}}
	w := &Workload{Properties: p.All()}
	for _, name := range foreign {
		if _, ok := r.get(name); ok {
			w.Ignored = append(w.Ignored, name)
		}
	}
	kind := r.text("workload", "core", workloadNames...)
	w.keyspace(r)
	w.Record = readCodec(r)
	w.Scan = Range{
		Least: r.integer("minscanlength", 1, 1, MaxScan), Most: r.integer("maxscanlength", 1000, 1, MaxScan),
		Kind: r.text("scanlengthdistribution", Uniform, Uniform, Zipfian),
	}
	if w.Scan.Least > w.Scan.Most {
		r.fail("minscanlength", "%d is more than maxscanlength, %d: write a smaller one", w.Scan.Least, w.Scan.Most)
	}
	w.Integrity = r.boolean("dataintegrity", false)
	w.Counters = r.integer("squall.counters", 100, 1, 1<<31)
	w.Threads = int(r.integer("threadcount", 1, 1, MaxThreads))
	w.Target = r.number("target", 0, 0, 1e9)
	w.MaxTime = time.Duration(r.integer("maxexecutiontime", 0, 0, 1<<31)) * time.Second
	w.PerCall = int(r.integer("squall.ops", 1, 1, MaxBatch))
	w.consistency(r)
	w.Mix = readMix(r, kind == "dag")
	w.DAG = readDAG(r, kind == "dag")
	w.Arrival = readArrival(r)
	if w.DAG == nil && w.Records < 1 && len(r.wrong) == 0 {
		r.fail("recordcount", "there are no records: write recordcount=1000, or how many there are to be")
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	return w, nil
}

// keyspace reads which records there are, and how they are chosen and named.
func (w *Workload) keyspace(r *reader) {
	w.Table = r.text("table", "usertable")
	w.KeyPrefix = r.text("keyprefix", "user")
	w.Ordered = r.text("insertorder", "hashed", "hashed", "ordered") == "ordered"
	w.Padding = int(r.integer("zeropadding", 1, 1, 100))
	if n := len(w.Table) + 1 + len(w.KeyPrefix) + max(w.Padding, 20); n > kvs.MaxKey {
		r.fail("keyprefix", "keys would have %d bytes: at most %d are allowed, so write shorter names", n, kvs.MaxKey)
	}
	w.Records = r.integer("recordcount", 0, 0, math.MaxInt64>>8)
	w.Operations = r.integer("operationcount", 0, 0, math.MaxInt64>>8)
	w.InsertStart = r.integer("insertstart", 0, 0, math.MaxInt64>>8)
	if w.Records > 0 && w.InsertStart >= w.Records {
		r.fail("insertstart", "%d leaves none of %d records: write a smaller one, or a larger recordcount", w.InsertStart, w.Records)
		w.InsertStart = 0
	}
	w.InsertCount = r.integer("insertcount", w.Records-w.InsertStart, 0, math.MaxInt64>>8)
	if w.InsertStart+w.InsertCount > w.Records {
		r.fail("insertcount", "records %d to %d are not among %d: write insertcount=%d, or a larger recordcount",
			w.InsertStart, w.InsertStart+w.InsertCount, w.Records, w.Records-w.InsertStart)
		w.InsertCount = w.Records - w.InsertStart
	}
	w.Request = Request{
		Kind:    r.text("requestdistribution", Uniform, Uniform, Zipfian, Latest, Hotspot, Exponential, Sequential),
		HotData: r.number("hotspotdatafraction", 0.2, 0, 1), HotOps: r.number("hotspotopnfraction", 0.8, 0, 1),
		Percentile: r.number("exponential.percentile", 95, 0.001, 99.999), Frac: r.number("exponential.frac", 0.8571428571, 1e-9, 1e9),
	}
}

func (w *Workload) consistency(r *reader) {
	var err error
	if w.Level, err = kvs.ParseLevel(r.text("squall.consistency", "lww")); err != nil {
		r.fail("squall.consistency", "%w", err)
	}
	if ack := r.text("squall.ack", ""); ack != "" {
		if w.Ack, err = kvs.ParseAck(ack); err != nil {
			r.fail("squall.ack", "%w", err)
		}
	}
}

// Kind is what an operation does.
type Kind uint8

// The kinds of operations.
const (
	Read Kind = iota
	Update
	Insert
	Scan
	ReadModifyWrite
	Count // adds one to a counter: what shows whether an effect was lost or came twice
	Run   // of a DAG
	Kinds = 7
)

var kindNames = [Kinds]string{"READ", "UPDATE", "INSERT", "SCAN", "READ-MODIFY-WRITE", "COUNT", "RUN"}

// String is the kind's name in reports: YCSB's own.
func (k Kind) String() string { return kindNames[k%Kinds] }

// Writes reports whether operations of the kind write a record.
func (k Kind) Writes() bool { return k == Update || k == Insert || k == ReadModifyWrite }

// Mix is the proportion of each kind of operation; they add up to 1.
type Mix [Kinds]float64

// proportions are the names of a Mix's parts and what YCSB takes where nothing is said.
var proportions = [...]struct {
	kind      Kind
	name      string
	otherwise float64
}{
	{Read, "readproportion", 0.95}, {Update, "updateproportion", 0.05}, {Insert, "insertproportion", 0}, {Scan, "scanproportion", 0},
	{ReadModifyWrite, "readmodifywriteproportion", 0}, {Count, "squall.countproportion", 0},
}

// sumSlack is how far proportions may be from 1: they are written in decimals.
const sumSlack = 1e-6

func readMix(r *reader, dag bool) Mix {
	var m Mix
	sum := 0.0
	before := len(r.wrong)
	for _, p := range proportions {
		m[p.kind] = r.number(p.name, p.otherwise, 0, 1)
		sum += m[p.kind]
	}
	if dag {
		return Mix{Run: 1}
	}
	if math.Abs(sum-1) > sumSlack && len(r.wrong) == before {
		var parts []string
		for _, p := range proportions {
			_, said := r.p.said[p.name]
			switch {
			case said:
				parts = append(parts, fmt.Sprintf("%s=%g", p.name, m[p.kind]))
			case m[p.kind] != 0:
				parts = append(parts, fmt.Sprintf("%s=%g, which it is where nothing is said", p.name, m[p.kind]))
			}
		}
		r.wrong = append(r.wrong, fmt.Sprintf("readproportion and the others add up to %.6g, not to 1 (%s): write proportions that do",
			sum, strings.Join(parts, "; ")))
	}
	return m
}

// String is the mix in the words of a report.
func (m Mix) String() string {
	var parts []string
	for k, x := range m {
		if x > 0 {
			parts = append(parts, fmt.Sprintf("%g %% %s", math.Round(x*1e4)/1e2, Kind(k)))
		}
	}
	return strings.Join(parts, ", ")
}
