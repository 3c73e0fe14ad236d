package bench

import (
	"runtime"
	"runtime/debug"
)

// environment is what a figure cannot be read without.
func environment(release string) map[string]any {
	env := map[string]any{
		"squall": release, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH, "cpus": runtime.NumCPU(),
	}
	if k := kernel(); k != "" {
		env["kernel"] = k
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			switch d.Path {
			case "github.com/nats-io/nats-server/v2":
				env["nats_server"] = d.Version
			case "github.com/nats-io/nats.go":
				env["nats_client"] = d.Version
			}
		}
	}
	return env
}
