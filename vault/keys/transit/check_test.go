package transit_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"photovault/vault/keys/transit"
	"photovault/vault/keys/transit/transittest"
	"photovault/vault/vaulttest/devstack"
)

func TestAKeyThatPhotosMustNotBeEntrustedToIsNamedWithEveryFault(t *testing.T) {
	server := devstack.Need(t).Transit
	for _, test := range []struct {
		name   string
		key    map[string]any // when it is made
		config map[string]any // afterwards
		says   []string
	}{
		{"not derived", map[string]any{"derived": false}, nil, []string{"derived=true"}},
		{"convergent", map[string]any{"convergent_encryption": true}, nil, []string{"convergent_encryption"}},
		{"of another type", map[string]any{"type": "chacha20-poly1305"}, nil, []string{"chacha20-poly1305"}},
		{"no rotation", map[string]any{"auto_rotate_period": 0}, nil, []string{"auto_rotate_period=720h"}},
		{"rare rotation", map[string]any{"auto_rotate_period": "26280h"}, nil, []string{"auto_rotate_period=720h"}},
		{"exportable", map[string]any{"exportable": true}, nil, []string{"is exportable"}},
		{"made exportable", nil, map[string]any{"exportable": true}, []string{"is exportable"}},
		{"backup", nil, map[string]any{"allow_plaintext_backup": true}, []string{"allow_plaintext_backup"}},
		{"deletable", nil, map[string]any{"deletion_allowed": true}, []string{"deletion_allowed=false"}},
		{"all at once", map[string]any{"type": "aes128-gcm96", "derived": false, "exportable": true, "allow_plaintext_backup": true, "auto_rotate_period": 0},
			map[string]any{"deletion_allowed": true},
			[]string{"aes128-gcm96", "derived=true", "is exportable", "allow_plaintext_backup", "deletion_allowed=false", "auto_rotate_period=720h"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			x := transittest.Make(t, server, transittest.Settings{Key: test.key})
			if test.config != nil {
				x.Root.Must(t, http.MethodPost, x.Mount+"/keys/"+x.Key+"/config", test.config)
			}
			s, err := transit.Open(t.Context(), x.Service)
			if err == nil {
				s.Close()
			}
			var faults transit.Faults
			if !errors.Is(err, transit.ErrConfiguration) || !errors.As(err, &faults) {
				t.Fatalf("%v, want ErrConfiguration", err)
			}
			if len(faults) != len(test.says) {
				t.Errorf("%d faults, want %d: %v", len(faults), len(test.says), err)
			}
			for _, says := range append(test.says, "vault write "+x.Mount+"/keys/") {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("%v does not say %q", err, says)
				}
			}
		})
	}
}

func TestWhatIsMissingOnTheServerIsNamed(t *testing.T) {
	x := transittest.Make(t, devstack.Need(t).Transit, transittest.Settings{})
	private := func(text string) string { return transittest.Secret(t, text) }
	readable := private("secret")
	if err := os.Chmod(readable, 0o644); err != nil {
		t.Fatal(err)
	}
	root := transittest.Secret(t, devstack.Need(t).Transit.RootToken)
	for _, test := range []struct {
		name   string
		change func(*transit.Options)
		want   error
		says   string
	}{
		{"no such key", func(o *transit.Options) { o.Key, o.AppRole, o.TokenFile = "missing", nil, root }, transit.ErrConfiguration, "there is nothing at"},
		{"no such mount", func(o *transit.Options) { o.Mount, o.AppRole, o.TokenFile = "missing", nil, root }, transit.ErrConfiguration, "check the mount"},
		{"not allowed", func(o *transit.Options) { o.Key = "another" }, transit.ErrConfiguration, "policies"},
		{"no such role", func(o *transit.Options) { o.AppRole.RoleID = "another" }, transit.ErrConfiguration, "secret-id"},
		{"wrong secret id", func(o *transit.Options) { o.AppRole.SecretIDFile = private("another") }, transit.ErrConfiguration, "secret-id"},
		{"no such method", func(o *transit.Options) { o.AppRole.Mount = "another" }, transit.ErrConfiguration, ""},
		{"no file", func(o *transit.Options) { o.AppRole.SecretIDFile = filepath.Join(t.TempDir(), "none") }, transit.ErrConfiguration, "cannot be read"},
		{"empty file", func(o *transit.Options) { o.AppRole.SecretIDFile = private(" ") }, transit.ErrConfiguration, "one credential"},
		{"two lines", func(o *transit.Options) { o.AppRole.SecretIDFile = private("a\nb") }, transit.ErrConfiguration, "one credential"},
		{"a file for all to read", func(o *transit.Options) { o.AppRole.SecretIDFile = readable }, transit.ErrConfiguration, "chmod 600"},
		{"a folder", func(o *transit.Options) { o.AppRole.SecretIDFile = t.TempDir() }, transit.ErrConfiguration, "regular file"},
		{"wrong token", func(o *transit.Options) { o.AppRole, o.Token = nil, "hvs.another" }, transit.ErrConfiguration, "token"},
		{"no authorities", func(o *transit.Options) { o.CAFile = private("no PEM") }, transit.ErrConfiguration, "certificate"},
		{"no file of authorities", func(o *transit.Options) { o.CAFile = filepath.Join(t.TempDir(), "none") }, transit.ErrConfiguration, "authorities"},
	} {
		o := x.Service
		role := *o.AppRole
		o.AppRole = &role
		test.change(&o)
		s, err := transit.Open(t.Context(), o)
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %v saying %q", test.name, err, test.want, test.says)
		}
		if err != nil && strings.Contains(err.Error(), "hvs.") {
			t.Errorf("%s: the error shows a token", test.name)
		}
	}
}

// A path that the service's policy lacks is named at the start, not when a
// photo arrives or is asked for; all of them at once, where that can be found out.
func TestAPathThatThePolicyLacksIsNamed(t *testing.T) {
	for _, lacks := range [][]string{{"datakey/plaintext"}, {"decrypt"}, {"rewrap"}, {"decrypt", "rewrap"}} {
		t.Run(strings.Join(lacks, " and "), func(t *testing.T) {
			x := transittest.Make(t, devstack.Need(t).Transit, transittest.Settings{})
			x.Withhold(t, lacks...)
			s, err := transit.Open(t.Context(), x.Service)
			if err == nil {
				s.Close()
			}
			if !errors.Is(err, transit.ErrConfiguration) {
				t.Fatalf("%v, want ErrConfiguration", err)
			}
			for _, path := range lacks {
				if !strings.Contains(err.Error(), "may not use "+x.Mount+"/"+path+"/"+x.Key) {
					t.Errorf("%v does not name %s", err, path)
				}
			}
		})
	}
}
