// Command transitd runs a HashiCorp Vault core for tests and demonstrations:
// the transit engine, AppRole, file storage, TLS, one unseal key. Restarts and
// seals are those of the real thing. It is no part of photovault: it is a
// module of its own, and its keys lie beside its storage.
//
//	transitd -dir DIR -listen 127.0.0.1:8200 -cert server.pem -key server.key
//
// On the first start it initialises the storage and writes the unseal key and
// the root token to DIR/init.json (0600); later it unseals itself with them,
// unless -sealed is given.
package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/vault"
)

func main() {
	dir := flag.String("dir", "", "folder of the storage and of init.json")
	listen := flag.String("listen", "127.0.0.1:0", "address")
	cert := flag.String("cert", "", "certificate, PEM")
	key := flag.String("key", "", "its private key, PEM")
	sealed := flag.Bool("sealed", false, "stay sealed")
	flag.Parse()
	if err := run(*dir, *listen, *cert, *key, *sealed); err != nil {
		fmt.Fprintln(os.Stderr, "transitd:", err)
		os.Exit(1)
	}
}

func run(dir, listen, cert, key string, sealed bool) error {
	logger := hclog.New(&hclog.LoggerOptions{Name: "transitd", Level: hclog.Warn, Output: os.Stderr})
	storage, err := file.NewFileBackend(map[string]string{"path": filepath.Join(dir, "storage")}, logger)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		StorageType:        "file",
		DisableMlock:       true,
		Logger:             logger,
		BuiltinRegistry:    none{},
		LogicalBackends:    map[string]logical.Factory{"transit": transit.Factory},
		CredentialBackends: map[string]logical.Factory{"approle": approle.Factory},
		RedirectAddr:       "https://" + listen,
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := open(ctx, core, filepath.Join(dir, "init.json"), sealed); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{
		Type: "tcp", Address: listen, MaxRequestSize: vaulthttp.DefaultMaxRequestSize, MaxRequestDuration: vault.DefaultMaxRequestDuration}})
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := server.Shutdown(end); err != nil {
			fmt.Fprintln(os.Stderr, "transitd:", err)
		}
	}()
	if err := server.ServeTLS(ln, cert, key); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return core.Shutdown()
}

// secrets are what init.json holds.
type secrets struct {
	RootToken string `json:"root_token"`
	UnsealKey string `json:"unseal_key"` // hex
}

// open initialises the core, or unseals it.
func open(ctx context.Context, core *vault.Core, path string, sealed bool) error {
	known, err := core.Initialized(ctx)
	if err != nil {
		return err
	}
	var s secrets
	if !known {
		made, err := core.Initialize(ctx, &vault.InitParams{
			BarrierConfig:  &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
			RecoveryConfig: &vault.SealConfig{},
		})
		if err != nil {
			return err
		}
		s = secrets{RootToken: made.RootToken, UnsealKey: hex.EncodeToString(made.SecretShares[0])}
		b, err := json.Marshal(s)
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			return err
		}
	} else {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	}
	if sealed {
		return nil
	}
	unseal, err := hex.DecodeString(s.UnsealKey)
	if err != nil {
		return err
	}
	if ok, err := core.Unseal(unseal); err != nil || !ok {
		return fmt.Errorf("unseal: %v %w", ok, err)
	}
	return nil
}

// none is a registry without plugins: all that is needed is linked in.
type none struct{}

func (none) Contains(string, consts.PluginType) bool { return false }
func (none) Get(string, consts.PluginType) (func() (any, error), bool) {
	return nil, false
}
func (none) Keys(consts.PluginType) []string { return nil }
func (none) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Unknown, false
}
func (none) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
