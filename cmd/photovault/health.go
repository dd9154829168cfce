package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"photovault/api"
	"photovault/cmd/photovault/config"
)

type healthCommand struct{}

// Help is shown by photovault health --help.
func (healthCommand) Help() string {
	return `Asks the service on this machine whether it and its stores answer; for a container's health check.
It takes the service by its certificate file, whatever name that is for. Exit status 1: not ready.`
}

func (healthCommand) Run(r *run) error {
	listen, certificate := "", ""
	if r.Config != "" {
		c, err := config.Read(r.Config, os.Environ())
		if err != nil {
			return err
		}
		listen, certificate = c.Server.Listen, c.Server.Certificate
	} else {
		h := home(r.Home)
		conf, err := h.loadSettings()
		if err != nil {
			return err
		}
		listen, certificate = strings.TrimPrefix(conf.Server, "https://"), h.tls("server.pem")
	}
	if r.Server != "" {
		listen = strings.TrimPrefix(r.Server, "https://")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ready, err := askReady(r, "https://"+net.JoinHostPort(host, port), certificate)
	if err != nil {
		return err
	}
	return r.say(ready, "ready")
}

func askReady(r *run, base, certificate string) (*api.Readiness, error) {
	own, err := certificateOf(certificate)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Not by name and authority, but by being the very certificate.
		InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, own.Raw) {
				return errors.New("another certificate than the configured one is served")
			}
			return nil
		}}}}
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the service does not answer: %w", err)
	}
	defer res.Body.Close()
	var ready api.Readiness
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<16)).Decode(&ready); err != nil {
		return nil, fmt.Errorf("the service answers %s, and that is not readiness", res.Status)
	}
	if res.StatusCode != http.StatusOK {
		var down []string
		for name, state := range ready.Dependencies {
			if state != "ok" {
				down = append(down, name)
			}
		}
		return nil, fmt.Errorf("not ready: %s", strings.Join(down, ", "))
	}
	return &ready, nil
}

// certificateOf is the first certificate of a PEM file.
func certificateOf(path string) (*x509.Certificate, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate", path)
	}
	return x509.ParseCertificate(block.Bytes)
}
