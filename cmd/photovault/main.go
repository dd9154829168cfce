// Command photovault is the service and its command line, one binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/alecthomas/kong"

	"photovault/imaging/codec"
)

// version is set by the build.
var version = "0.1.0-dev"

// Exit codes: what was asked was done, was refused or failed, or was not
// understood.
const (
	exitDone   = 0
	exitFailed = 1
	exitMisuse = 2
)

func main() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// globals are the flags of every command.
type globals struct {
	Home      string `help:"Folder that init makes: data, keys, certificates, client settings." env:"PHOTOVAULT_HOME" default:"~/.photovault" type:"path"`
	JSON      bool   `help:"Print results as JSON, for machines."`
	Server    string `help:"Address of the service (default: from client.json in the home folder)." env:"PHOTOVAULT_SERVER" placeholder:"https://HOST:PORT"`
	Config    string `help:"Configuration file of production mode (default: the home folder's own stores)." env:"PHOTOVAULT_CONFIG" placeholder:"FILE"`
	TokenFile string `help:"File with your personal token (default: $PHOTOVAULT_TOKEN)." env:"PHOTOVAULT_TOKEN_FILE" type:"path" placeholder:"FILE"`
}

type commands struct {
	globals

	Init     initCommand     `cmd:"" help:"Make a new vault: folder, keys, certificate, practice, first administrator."`
	Practice practiceCommand `cmd:"" help:"Add and list the practices of one installation."`
	Serve    serveCommand    `cmd:"" help:"Run the service."`
	Put      putCommand      `cmd:"" help:"Seal a photo and upload it."`
	Get      getCommand      `cmd:"" help:"Ask for a token and fetch a photo with it."`
	Photo    photoCommand    `cmd:"" help:"List, show and delete photos; read receipts."`
	Patient  patientCommand  `cmd:"" help:"Add and find patients."`
	Consent  consentCommand  `cmd:"" help:"Record, list and revoke consents and authorizations; explain decisions."`
	Campaign campaignCommand `cmd:"" help:"Make, list and close campaigns; each release for marketing belongs to one."`
	Takedown takedownCommand `cmd:"" help:"What was released for marketing and must come down."`
	Review   reviewCommand   `cmd:"" help:"Emergencies, and releases that should not have been, that the privacy officer owes a look."`
	User     userCommand     `cmd:"" help:"Add, list and revoke accounts."`
	Audit    auditCommand    `cmd:"" help:"Read and verify the audit trail."`
	Keys     keysCommand     `cmd:"" help:"List, rotate, rewrap and erase keys."`
	Health   healthCommand   `cmd:"" help:"Ask the service on this machine whether it is ready."`
	Fsck     fsckCommand     `cmd:"" help:"Compare catalog, objects and audit log; with --read-data authenticate every byte."`
	Config_  configCommand   `cmd:"" name:"config" help:"Check a configuration, or print an example."`
	Version  versionCommand  `cmd:"" help:"Print the version and the state of the FIPS module."`
}

const description = `A vault for before/after photos: sealed on the tablet, stripped of metadata,
kept as ciphertext, opened only by consent.

  photovault init                          make a vault
  photovault serve                         run it
  photovault user add "Dr. Ana Vidal" --role provider
  photovault put face.jpg --patient ID --kind before
  photovault get PHOTO --purpose clinical -o face-web.jpg

Client commands read your token from $PHOTOVAULT_TOKEN or --token-file.
Exit status: 0 done, 1 refused or failed, 2 misuse.`

// Main runs one command and returns its exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "media-worker" {
		// Before anything else is set up: the worker fences itself in.
		return codec.WorkerMain(stdin, stdout, args[1:])
	}
	if len(args) > 0 && args[0] == "help" { // as many say it
		args = append(slices.Clone(args[1:]), "--help")
	}
	var cli commands
	exited := -1
	parser, err := kong.New(&cli, kong.Name("photovault"), kong.Description(description), kong.UsageOnError(),
		kong.Writers(stdout, stderr), kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}))
	if err != nil {
		fmt.Fprintln(stderr, "photovault:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // help was asked for
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "photovault: %v\nTry: photovault --help\n", err)
		return exitMisuse
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	r := &run{ctx: ctx, globals: cli.globals, in: stdin, out: stdout, err: stderr}
	if err := parsed.Run(r); err != nil {
		var m misuse
		fmt.Fprintln(stderr, "photovault:", err)
		if errors.As(err, &m) {
			return exitMisuse
		}
		return exitFailed
	}
	return exitDone
}

// run is what a command runs with.
type run struct {
	globals
	ctx context.Context
	in  io.Reader
	out io.Writer
	err io.Writer
}

// misuse is an error in how a command was called.
type misuse string

func (m misuse) Error() string { return string(m) }
