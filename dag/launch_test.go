package dag_test

import (
	"testing"
	"time"

	"github.com/squall-faas/squall/dag"
)

func TestLaunchAt(t *testing.T) {
	now := time.Unix(1000, 0)
	in := func(d time.Duration) time.Time { return now.Add(d) }
	for _, c := range []struct {
		finish        time.Time
		startup, work time.Duration
		want          time.Time
	}{
		{time.Time{}, time.Second, time.Second, now},       // nothing is known
		{in(10 * time.Second), 0, 0, in(10 * time.Second)}, // it costs nothing: with the producer's end
		{in(10 * time.Second), 2 * time.Second, 0, in(8 * time.Second)},
		{in(10 * time.Second), 2 * time.Second, 3 * time.Second, in(5 * time.Second)},
		{in(time.Second), 2 * time.Second, 0, now}, // it is late already
		{in(-time.Second), 0, 0, now},              // and the producer later than predicted
	} {
		if got := dag.LaunchAt(now, c.finish, c.startup, c.work); !got.Equal(c.want) {
			t.Errorf("finish %v, startup %v, work %v: %v, want %v", c.finish, c.startup, c.work, got, c.want)
		}
	}
}
