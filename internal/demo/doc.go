// Package demo is what `squall demo` does: a whole cluster in this process, and two DAGs on real input.
//
//	identifiers   files ─▶ Map count ─▶ Reduce merge ─▶ top
//	photo         image ─▶ decode ─▶ {thumbnail, histogram, edges} ─▶ join
package demo
