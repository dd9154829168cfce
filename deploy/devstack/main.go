// Command devstack runs real servers on loopback for tests and demonstrations
// of photovault's production mode: HashiCorp Vault with transit and AppRole,
// MinIO, versitygw and PostgreSQL, all over TLS with one certificate authority
// of their own, on free ports. It is a module of its own: nothing of it is
// ever linked into the product.
//
//	devstack build    build the servers once, into the user's cache
//	devstack up       start them, unless they run; print where they are
//	devstack config   make what `photovault serve` needs in them, fresh, and print its configuration (-out DIR)
//	devstack down     stop them and remove their data
//
// The state is a folder, by default photovault-devstack-UID in the system's
// folder for temporary files; $PHOTOVAULT_DEVSTACK or -dir names another. Its
// devstack.json says where the servers are and holds their root credentials.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "devstack:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("devstack", flag.ContinueOnError)
	dir := flags.String("dir", defaultDir(), "folder of the servers' data")
	out := flags.String("out", filepath.Join(*dir, "photovault"), "folder for the configuration and its secrets")
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: devstack [-dir DIR] build | up | config | down")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch flags.Arg(0) {
	case "build":
		_, err := build(ctx)
		return err
	case "up":
		return up(ctx, *dir)
	case "config":
		return configure(ctx, *dir, *out)
	case "down":
		return down(*dir)
	}
	flags.Usage()
	os.Exit(2)
	return nil
}

func defaultDir() string {
	if dir := os.Getenv("PHOTOVAULT_DEVSTACK"); dir != "" {
		return dir
	}
	return filepath.Join(os.TempDir(), fmt.Sprintf("photovault-devstack-%d", os.Getuid()))
}
