package main

import (
	"context"
	"crypto/fips140"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"photovault/api"
	"photovault/api/identity"
	"photovault/cmd/photovault/config"
	"photovault/imaging"
	"photovault/vault"
)

type serveCommand struct {
	Listen          string            `help:"Address to listen on (default: as given to init). Port 0 picks a free one." placeholder:"HOST:PORT"`
	AddressFile     string            `help:"Write the address that was listened on into this file." type:"path" placeholder:"FILE"`
	FrameAncestor   []string          `help:"Origin that may embed photos in a frame, for an EMR." placeholder:"https://HOST"`
	SwapIsEncrypted bool              `help:"Declare that this machine's swap is encrypted."`
	LogLevel        string            `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
	PhotoCap        map[string]string `help:"How many different photos an account of the role may ask for in an hour and in a day (default: provider=300/1500;marketing=60/200;emr=1500/8000)." placeholder:"ROLE=HOUR/DAY"`
	WorkerMemory    int               `help:"MiB that all media workers may take together." default:"768"`

	DrainDelay *time.Duration `help:"After SIGTERM, how long to accept on while readiness says no, until balancers have seen it (default: 3s with --config, else none)." placeholder:"3s"`
	DrainLimit time.Duration  `help:"After that, how long requests and photos in work may take before they are cut." default:"20s"`

	SweepAge time.Duration `hidden:"" help:"How long an object may stay planned before it is swept."`
}

// Help is shown by photovault serve --help.
func (serveCommand) Help() string {
	return `Example:
  photovault serve --listen 0.0.0.0:8443

Logs go to standard error as JSON, one line each: route patterns and ids, never
a name, a path or a token.

SIGTERM drains: /readyz answers 503 and connections end with their next answer,
for --drain-delay; then nothing more is accepted, uploads stop at what is durable,
and downloads and photos in work have --drain-limit to end. Exit status 0: all
did; 1: some were cut. A second SIGTERM ends the process at once. Give it
drain-delay + drain-limit + 20s before it is killed.`
}

func (c *serveCommand) Run(r *run) (err error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return misuse(err.Error())
	}
	log := slog.New(slog.NewJSONHandler(r.err, &slog.HandlerOptions{Level: level}))
	var missing []string
	harden(&missing)
	conf, err := c.config(r)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("this process could not be fenced: %s", strings.Join(missing, "; "))
	}
	debug.SetMemoryLimit(256 << 20)

	media, err := imaging.NewPool(imaging.Config{MemoryBytes: int64(conf.Server.WorkerMemory) << 20, Logger: log}) // workers are this binary
	if err != nil {
		return fmt.Errorf("media worker: %w", err)
	}
	defer media.Close()
	if missing := media.Fences().Missing(); len(missing) > 0 {
		return fmt.Errorf("media workers cannot be fenced in on this machine, and photos are not parsed without: %s", strings.Join(missing, "; "))
	}

	s, err := openStores(r.ctx, conf, serving)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	policies, err := conf.ReadPolicies()
	if err != nil {
		return err
	}
	told, err := receivers(conf)
	if err != nil {
		return err
	}
	service, err := vault.New(vault.Config{Practice: conf.Practice, Catalogs: s.catalog, Keys: s.keys, Blobs: s.blobs, Media: media,
		Checkpoints: checkpointsOf(conf), Receivers: told, Policies: policies, Caps: conf.Caps(), Logger: log, Software: "photovault " + version,
		Ingests: media.AtOnce(), SweepAge: c.SweepAge})
	if err != nil {
		return err
	}
	if err := service.Prepare(r.ctx); err != nil {
		return err
	}
	certificate, err := newCertificateFiles(conf.Server.Certificate, conf.Server.Key, log)
	if err != nil {
		return err
	}
	auth := identity.New(s.catalog, conf.Practice, nil, log)
	server := api.New(api.Config{Service: service, Auth: auth, TLS: certificate.config(), Logger: log, Version: version, FrameAncestors: conf.Server.FrameAncestors})

	l, err := (&net.ListenConfig{}).Listen(r.ctx, "tcp", conf.Server.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", conf.Server.Listen, err)
	}
	if c.AddressFile != "" {
		if err := writeDurable(c.AddressFile, []byte(l.Addr().String()+"\n"), 0o644); err != nil {
			return err
		}
	}
	log.Info("serving", "address", l.Addr().String(), "fips140", fips140.Enabled())
	log.Debug("media worker fences", "report", media.Fences().String())
	if !r.JSON {
		fmt.Fprintf(r.out, "photovault %s serves https://%s  (%s)\n", version, l.Addr(), r.where())
	}
	return serve(r.ctx, service, auth, server, l, c.drain(r))
}

// config is the file's, or the home folder's, with what the flags say on top.
func (c *serveCommand) config(r *run) (*config.Config, error) {
	if r.Config == "" {
		h := home(r.Home)
		settings, err := h.loadSettings()
		if err != nil {
			return nil, err
		}
		if err := h.renewCertificate(time.Now()); err != nil {
			return nil, err
		}
		conf := h.config(settings.Practice)
		if _, err := os.Lstat(h.path("policies.cedar")); err == nil {
			conf.Policies = h.path("policies.cedar")
		}
		for role, text := range c.PhotoCap {
			if err := conf.PhotoCaps.ParsePhotoCap(role, text); err != nil {
				return nil, misuse(err.Error())
			}
		}
		if c.SwapIsEncrypted {
			conf.Swap = config.SwapEncrypted
		}
		if err := config.ThisHost().Check(conf); err != nil {
			return nil, err
		}
		conf.Server.Listen, conf.Server.FrameAncestors, conf.Server.WorkerMemory = strings.TrimPrefix(settings.Server, "https://"), c.FrameAncestor, c.WorkerMemory
		if c.Listen != "" {
			conf.Server.Listen = c.Listen
		}
		return conf, nil
	}
	conf, err := r.config()
	if err != nil {
		return nil, err
	}
	if c.Listen != "" {
		conf.Server.Listen = c.Listen
	}
	if conf.Server.WorkerMemory == 0 {
		conf.Server.WorkerMemory = c.WorkerMemory
	}
	return conf, nil
}

// where names what a command works on.
func (r *run) where() string {
	if r.Config != "" {
		return "configuration " + r.Config
	}
	return "home " + r.Home + ", authority ca.pem"
}

// drain is how the service ends: delay for those who look at readiness, limit
// for what runs.
type drain struct{ delay, limit time.Duration }

func (c *serveCommand) drain(r *run) drain {
	d := drain{limit: c.DrainLimit}
	switch {
	case c.DrainDelay != nil:
		d.delay = *c.DrainDelay
	case r.Config != "": // replicas behind a balancer
		d.delay = 3 * time.Second
	}
	return d
}

// serve runs the background work and the server until ctx ends or either fails.
// Requests finish before the background work does: it chains their entries.
func serve(ctx context.Context, service *vault.Service, auth *identity.Authenticator, server *api.Server, l net.Listener, d drain) error {
	front, stopFront := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFront()
	back, stopBack := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBack()
	work := make(chan error, 1)
	go func() { work <- service.Run(back); stopFront() }()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		select {
		case <-ctx.Done():
		case <-front.Done():
			return
		}
		server.Drain()
		limit, cancel := context.WithTimeout(back, d.delay+d.limit)
		defer cancel()
		time.AfterFunc(d.delay, stopFront)
		service.Drain(limit)
	}()
	go func() {
		t := time.NewTicker(time.Minute)
		defer t.Stop()
		for {
			select {
			case <-back.Done():
				return
			case <-t.C:
				auth.Flush(back, false)
			}
		}
	}()
	err := server.Serve(front, l, d.limit)
	stopFront() // it may have failed by itself
	<-drained
	auth.Flush(context.WithoutCancel(ctx), true)
	stopBack()
	return errors.Join(err, <-work)
}
