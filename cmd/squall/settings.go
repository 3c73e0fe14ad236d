package main

import (
	"errors"
	"log/slog"
	"maps"
	"os"
	"time"

	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/squall-faas/squall/fault"
	"github.com/squall-faas/squall/internal/natsconn"
)

// settings are what every command may need, from the command line, then the environment, then the saved context, then
// the defaults.
type settings struct {
	Server, Creds, NKey, User, Password, Token string
	Namespace                                  string
	Timeout                                    time.Duration
	Output                                     string
	LogLevel                                   string
}

// Names of the settings, as flags have them.
var settingNames = []string{"server", "creds", "nkey", "user", "password", "token", "namespace", "timeout", "output", "log-level"}

// layer is one source of settings: a koanf.Provider.
type layer map[string]any

// ReadBytes is of no use here.
func (layer) ReadBytes() ([]byte, error) { return nil, errors.New("a layer has no bytes") }

// Read gives the settings.
func (l layer) Read() (map[string]any, error) { return maps.Clone(map[string]any(l)), nil }

func loadSettings(flags *pflag.FlagSet) (settings, error) {
	saved, err := contextLayer(flags)
	if err != nil {
		return settings{}, err
	}
	k := koanf.New(".")
	env, err := envLayer()
	if err != nil {
		return settings{}, err
	}
	for _, l := range []layer{{"namespace": "default", "output": "table"}, saved, env, flagLayer(flags)} {
		if l["creds"] != nil || l["nkey"] != nil || l["user"] != nil || l["token"] != nil {
			// One kind of credentials in a layer replaces any kind below it.
			for _, name := range []string{"creds", "nkey", "user", "password", "token"} {
				k.Delete(name)
			}
		}
		if err := k.Load(l, nil); err != nil {
			return settings{}, fault.New(fault.InvalidArgument, "settings: %w", err)
		}
	}
	s := settings{
		Server: k.String("server"), Creds: k.String("creds"), NKey: k.String("nkey"), User: k.String("user"), Password: k.String("password"),
		Token: k.String("token"), Namespace: k.String("namespace"), Output: k.String("output"), LogLevel: k.String("log-level"),
	}
	if t := k.String("timeout"); t != "" {
		if s.Timeout, err = time.ParseDuration(t); err != nil {
			return s, fault.New(fault.InvalidArgument, "timeout %q: give a duration such as 500ms, 2s or 1h", t)
		}
	}
	return s, nil
}

// check refuses settings that make no sense; form is one more form of output that the command knows.
func (s settings) check(form string) error {
	switch s.Output {
	case "table", "json", "jsonl":
	default:
		if form == "" || s.Output != form {
			return fault.New(fault.InvalidArgument, "no output form %q: use table, json or jsonl", s.Output)
		}
	}
	if s.Timeout < 0 {
		return fault.New(fault.InvalidArgument, "timeout %v: give a positive one, or 0 for the default", s.Timeout)
	}
	if s.LogLevel != "" && new(slog.Level).UnmarshalText([]byte(s.LogLevel)) != nil {
		return fault.New(fault.InvalidArgument, "no log level %q: use debug, info, warn or error", s.LogLevel)
	}
	return nil
}

func envLayer() (layer, error) {
	l := layer{}
	if url := os.Getenv("NATS_URL"); url != "" {
		l["server"] = url
	}
	for _, name := range settingNames {
		v, err := os.Getenv(variable(name)), error(nil)
		if name == "password" || name == "token" {
			v, err = secret(variable(name))
		}
		if err != nil {
			return nil, err
		}
		if v != "" {
			l[name] = v
		}
	}
	return l, nil
}

// flagLayer is what stands on the command line.
func flagLayer(flags *pflag.FlagSet) layer {
	l := layer{}
	for _, name := range settingNames {
		if f := flags.Lookup(name); f != nil && f.Changed {
			l[name] = f.Value.String()
		}
	}
	return l
}

// conn are the options of a connection to NATS.
func (s settings) conn(name string, log *slog.Logger) natsconn.Options {
	return natsconn.Options{
		URL: s.Server, Name: name, CredsFile: s.Creds, NKeyFile: s.NKey, User: s.User, Password: s.Password, Token: s.Token, Logger: log,
	}
}
