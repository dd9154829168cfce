package config_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"photovault/cmd/photovault/config"
)

// Something is wrong with the files of production mode, or with this machine.
func TestFaultsOfFiles(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, p *place)
		want []string
		says string // the next step
	}{
		"a password that the group may read": {
			func(_ *testing.T, p *place) { p.mode("db-password", 0o640) }, []string{"catalog.postgres.password_file not_private"}, "chmod 600"},
		"credentials that everybody may read": {
			func(_ *testing.T, p *place) { p.mode("s3.json", 0o644) }, []string{"objects.s3.credentials_file not_private"}, "chmod 600"},
		"a secret id that others may change": {
			func(_ *testing.T, p *place) { p.mode("secret-id", 0o602) }, []string{"keys.transit.approle.secret_id_file not_private"}, "chmod 600"},
		"a server key that everybody may read": {
			func(_ *testing.T, p *place) { p.mode("server.key", 0o644) }, []string{"server.key not_private"}, "chmod 600"},
		"a secret of another user": {
			func(t *testing.T, p *place) { p.owner("db-password", 12345) }, []string{"catalog.postgres.password_file not_private"}, "chown"},
		"a link to a secret that everybody may read": {
			func(_ *testing.T, p *place) {
				p.file("real", 0o644, "x\n")
				p.link("db-password", p.in("real"))
			}, []string{"catalog.postgres.password_file not_private"}, "chmod 600"},
		"a folder that everybody may put files into": {
			func(t *testing.T, p *place) { p.own("open", 0o777, "db-password") }, []string{"catalog.postgres.password_file not_private"}, "chmod go-w"},
		"a secret that is a folder": {
			func(t *testing.T, p *place) {
				p.remove("db-password")
				if err := os.Mkdir(p.in("db-password"), 0o700); err != nil {
					t.Fatal(err)
				}
			}, []string{"catalog.postgres.password_file not_private"}, "regular file"},
		"a secret that is not there": {
			func(_ *testing.T, p *place) { p.remove("secret-id") }, []string{"keys.transit.approle.secret_id_file unreadable"}, "make it"},
		"an empty secret": {
			func(_ *testing.T, p *place) { p.file("secret-id", 0o600, "") }, []string{"keys.transit.approle.secret_id_file missing"}, "empty"},
		"a secret of two lines": {
			func(_ *testing.T, p *place) { p.file("db-password", 0o600, "one\ntwo\n") }, []string{"catalog.postgres.password_file invalid"}, "one line"},
		"a secret larger than any": {
			func(_ *testing.T, p *place) { p.file("db-password", 0o600, strings.Repeat("x", 1<<20)) }, []string{"catalog.postgres.password_file too_large"}, "another file"},
		"credentials that are no JSON": {
			func(_ *testing.T, p *place) { p.file("s3.json", 0o600, "AKIAHUNTER2") }, []string{"objects.s3.credentials_file invalid"}, "access_key"},
		"credentials without a secret": {
			func(_ *testing.T, p *place) { p.file("s3.json", 0o600, `{"access_key": "a"}`) }, []string{"objects.s3.credentials_file missing"}, "secret_key"},
		"a secret key that is too short": {
			func(_ *testing.T, p *place) { p.file("s3.json", 0o600, `{"access_key": "a", "secret_key": "hunter2"}`) },
			[]string{"objects.s3.credentials_file invalid"}, "14 characters"},
		"an authority that is not there": {
			func(_ *testing.T, p *place) { p.remove("transit-ca.pem") }, []string{"keys.transit.ca unreadable"}, "not there"},
		"an authority that is none": {
			func(_ *testing.T, p *place) { p.file("db-ca.pem", 0o644, "hello\n") }, []string{"catalog.postgres.ca bad_certificate"}, "no PEM certificate"},
		"an authority that others may change": {
			func(_ *testing.T, p *place) { p.mode("db-ca.pem", 0o666) }, []string{"catalog.postgres.ca not_protected"}, "chmod go-w"},
		"an authority that expired": {
			func(t *testing.T, p *place) { p.file("db-ca.pem", 0o644, newAuthorityUntil(t, -time.Hour).pem) }, []string{"catalog.postgres.ca expired"}, "new one"},
		"an authority with its private key": {
			func(t *testing.T, p *place) {
				a := newAuthority(t)
				_, key := a.issue(t, certificate{host: "x"})
				p.file("db-ca.pem", 0o644, a.pem+key)
			}, []string{"catalog.postgres.ca not_private"}, "take it out"},
		"an authority with a small key": {
			func(t *testing.T, p *place) { p.file("db-ca.pem", 0o644, fixture(t, "rsa1024.pem")) }, []string{"catalog.postgres.ca weak_tls"}, "2048"},
		"a certificate with a small RSA key": {
			func(t *testing.T, p *place) { p.file("server.pem", 0o644, fixture(t, "rsa1024.pem")) }, []string{"server.certificate weak_tls"}, "2048"},
		"a certificate with a small curve": {
			func(t *testing.T, p *place) { p.file("server.pem", 0o644, fixture(t, "p224.pem")) }, []string{"server.certificate weak_tls"}, "P-256"},
		"a certificate signed with SHA-1": {
			func(t *testing.T, p *place) { p.file("server.pem", 0o644, fixture(t, "sha1.pem")) }, []string{"server.certificate weak_tls"}, "SHA-256"},
		"an expired certificate": {
			func(t *testing.T, p *place) {
				p.serve(certificate{host: "vault.clinic.example", from: -2 * time.Hour, until: -time.Hour})
			},
			[]string{"server.certificate expired"}, "renew"},
		"a certificate of tomorrow": {
			func(t *testing.T, p *place) {
				p.serve(certificate{host: "vault.clinic.example", from: time.Hour, until: 2 * time.Hour})
			},
			[]string{"server.certificate expired"}, "clock"},
		"a certificate for another host": {
			func(t *testing.T, p *place) { p.serve(certificate{host: "emr.clinic.example"}) }, []string{"server.certificate bad_certificate"}, "server.url"},
		"a certificate for clients": {
			func(t *testing.T, p *place) {
				p.serve(certificate{host: "vault.clinic.example", usage: x509.ExtKeyUsageClientAuth})
			},
			[]string{"server.certificate bad_certificate"}, "serverAuth"},
		"the key of another certificate": {
			func(t *testing.T, p *place) {
				_, key := newAuthority(t).issue(t, certificate{host: "vault.clinic.example"})
				p.file("server.key", 0o600, key)
			}, []string{"server.key bad_certificate"}, "not the key"},
		"a key that is none": {
			func(_ *testing.T, p *place) { p.file("server.key", 0o600, "hunter2") }, []string{"server.key bad_certificate"}, "private key"},
		"an authority that did not sign": {
			func(t *testing.T, p *place) {
				p.file("ca.pem", 0o644, newAuthority(t).pem)
				p.replace(`ca: ""`, "ca: "+p.in("ca.pem"))
			}, []string{"server.ca bad_certificate"}, "did not sign"},
		"no folder for the checkpoint": {
			func(_ *testing.T, p *place) { p.replace("/checkpoint.json", "/none/checkpoint.json") }, []string{"checkpoint unreadable"}, "make it"},
		"a checkpoint that everybody may replace": {
			func(t *testing.T, p *place) { p.own("open", 0o777, "checkpoint.json") }, []string{"checkpoint not_protected"}, "chmod go-w"},
		"enabled swap": {
			func(_ *testing.T, p *place) {
				p.host.Root = machine(map[string]string{"proc/swaps": header + "/dev/sda2 partition 1 0 -2\n"})
			},
			[]string{"swap swap_enabled"}, "swapoff"},
	} {
		t.Run(name, func(t *testing.T) {
			p := placed(t, config.Production)
			c.do(t, p)
			_, faults := p.load()
			if got := found(faults); !slices.Equal(got, c.want) {
				t.Fatalf("found %v, want %v\n%v", got, c.want, faults)
			}
			if !strings.Contains(faults.Error(), c.says) || strings.Contains(strings.ToLower(faults.Error()), "hunter2") {
				t.Errorf("no %q, or a secret, in %v", c.says, faults)
			}
			if faults[0].Line == 0 {
				t.Errorf("no line: %v", faults)
			}
		})
	}
}

func (p *place) mode(name string, mode os.FileMode) {
	p.t.Helper()
	if err := os.Chmod(p.in(name), mode); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) owner(name string, user int) {
	p.t.Helper()
	if os.Geteuid() != 0 {
		p.t.Skip("left out: only root gives files away")
	}
	if err := os.Chown(p.in(name), user, -1); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) remove(name string) {
	p.t.Helper()
	if err := os.Remove(p.in(name)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) link(name, to string) {
	p.t.Helper()
	p.remove(name)
	if err := os.Symlink(to, p.in(name)); err != nil {
		p.t.Fatal(err)
	}
}

// own gives a file of the example a folder of its own.
func (p *place) own(folder string, mode os.FileMode, name string) {
	p.t.Helper()
	if err := os.Mkdir(p.in(folder), 0o700); err != nil {
		p.t.Fatal(err)
	}
	p.mode(folder, mode)
	p.file(filepath.Join(folder, name), 0o600, "secret\n")
	p.replace(p.in(name), p.in(filepath.Join(folder, name)))
}

// serve puts another certificate with its key.
func (p *place) serve(c certificate) {
	cert, key := newAuthority(p.t).issue(p.t, c)
	p.file("server.pem", 0o644, cert)
	p.file("server.key", 0o600, key)
}

func fixture(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A weak certificate's key is not at hand; that it is the key of another one
// is not said on top.
func TestOnlyTheCauseIsNamed(t *testing.T) {
	p := placed(t, config.Production)
	p.replace("certificate: "+p.folder, "certificate: "+p.in("none"))
	p.replace("swap: none", "swap: perhaps")
	_, faults := p.load()
	if want := []string{"server.certificate unreadable", "swap invalid"}; !slices.Equal(found(faults), want) {
		t.Errorf("%v, want %v", faults, want)
	}
}

// Links are followed, as Kubernetes needs; the key file, which is written anew,
// is named itself.
func TestLinks(t *testing.T) {
	p := placed(t, config.OneMachine)
	p.file("passphrase-1", 0o600, "battery staple\n")
	p.link("passphrase", p.in("passphrase-1"))
	if _, faults := p.load(); faults != nil {
		t.Errorf("a link to a private file: %v", faults)
	}
	p.file("keys/kek-1.json", 0o600, "{}")
	p.link("keys/kek.json", p.in("keys/kek-1.json"))
	if _, faults := p.load(); !slices.Equal(found(faults), []string{"keys.local.file not_private"}) {
		t.Errorf("a link to the key file: %v", faults)
	}
}

func TestNothingThatOpensTheDataLiesInside(t *testing.T) {
	for name, c := range map[string]struct {
		old, with, want string
	}{
		"key file":                        {"keys/kek.json", "data/kek.json", "keys.local.file inside_data"},
		"key file among the objects":      {"keys/kek.json", "data/objects/kek.json", "keys.local.file inside_data"},
		"key file by way of a link":       {"keys/kek.json", "alias/kek.json", "keys.local.file inside_data"},
		"key file by way of dots":         {"keys/kek.json", "keys/../data/kek.json", "keys.local.file inside_data"},
		"passphrase":                      {"/passphrase", "/data/passphrase", "keys.local.passphrase_file inside_data"},
		"checkpoint":                      {"keys/checkpoint.json", "data/checkpoint.json", "checkpoint inside_data"},
		"the server's key":                {"/server.key", "/data/server.key", "server.key inside_data"},
		"the database among the objects":  {"data/catalog.db", "data/objects/catalog.db", "catalog.sqlite inside_data"},
		"the same file for two":           {"keys/checkpoint.json", "keys/kek.json", "keys.local.file same_path"},
		"the objects' folder as database": {"data/catalog.db", "data/objects", "objects.directory same_path"},
	} {
		t.Run(name, func(t *testing.T) {
			p := placed(t, config.OneMachine)
			if err := os.Mkdir(p.in("data/objects"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(p.in("data"), p.in("alias")); err != nil {
				t.Fatal(err)
			}
			secrets := map[string]string{"kek.json": "{}", "passphrase": "battery staple\n"}
			if key, err := os.ReadFile(p.in("server.key")); err == nil {
				secrets["server.key"] = string(key)
			}
			for file, text := range secrets {
				p.file("data/"+file, 0o600, text)
				p.file("data/objects/"+file, 0o600, text)
			}
			p.replace(c.old, c.with)
			if _, faults := p.load(); !slices.Equal(found(faults), []string{c.want}) {
				t.Errorf("%v, want %s", faults, c.want)
			}
		})
	}
}

func TestSecretsFromTheEnvironment(t *testing.T) {
	p := placed(t, config.Production)
	for _, line := range []string{"credentials_file: " + p.in("s3.json"), "password_file: " + p.in("db-password")} {
		p.replace(line, "")
	}
	p.env = []string{"PHOTOVAULT_DB_PASSWORD=hunter2", "PHOTOVAULT_S3_ACCESS_KEY=a", "PHOTOVAULT_S3_SECRET_KEY=hunter2-hunter2-hunter2", "PHOTOVAULT_S3_SESSION_TOKEN=hunter2s"}
	c, faults := p.load()
	if faults != nil {
		t.Fatal(faults)
	}
	if o := c.S3(); o.AccessKey != "a" || o.SecretKey != "hunter2-hunter2-hunter2" || o.SessionToken != "hunter2s" || o.Check() != nil {
		t.Error("the bucket's keys do not arrive")
	}
	if password, err := c.Password(); err != nil || password != "hunter2" {
		t.Errorf("password: %v", err)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprintf("%+v %#v", *c, *c), string(asJSON)} {
		if strings.Contains(printed, "hunter2") {
			t.Errorf("printing shows a secret: %s", printed)
		}
	}
	p.env = append(p.env, "PHOTOVAULT_S3_SECRET_KEY=short")
	if _, faults := p.load(); !slices.Equal(found(faults), []string{"objects.s3.credentials_file invalid"}) {
		t.Errorf("a short secret key: %v", faults)
	}
}

func TestASecretComesOneWayOnly(t *testing.T) {
	p := placed(t, config.Production)
	p.env = []string{"PHOTOVAULT_DB_PASSWORD=hunter2", "PHOTOVAULT_S3_ACCESS_KEY=hunter2"}
	_, faults := p.load()
	if want := []string{"catalog.postgres.password_file duplicate", "objects.s3.credentials_file duplicate"}; !slices.Equal(found(faults), want) || strings.Contains(faults.Error(), "hunter2") {
		t.Errorf("%v, want %v", faults, want)
	}
	p = placed(t, config.OneMachine)
	p.env = []string{"PHOTOVAULT_KEK_PASSPHRASE=hunter2"}
	if _, faults := p.load(); !slices.Equal(found(faults), []string{"keys.local.passphrase_file duplicate"}) {
		t.Errorf("%v", faults)
	}
}

func TestSystemdCredentials(t *testing.T) {
	for _, form := range []string{"$CREDENTIALS_DIRECTORY", "${CREDENTIALS_DIRECTORY}"} {
		p := placed(t, config.Production)
		p.replace(p.in("db-password"), form+"/db-password")
		p.env = []string{"CREDENTIALS_DIRECTORY=" + p.folder}
		c, faults := p.load()
		if faults != nil {
			t.Fatal(faults)
		}
		if password, err := c.Password(); err != nil || password != "correct horse" {
			t.Errorf("%s: %v", form, err)
		}
	}
}

// systemd gives a user a credential of root's by an access list.
func TestCredentialsOfRootForAnotherUser(t *testing.T) {
	for _, c := range []struct {
		mode os.FileMode
		gid  int
		fine bool
	}{{0o400, 0, true}, {0o440, 0, true}, {0o440, 12345, false}, {0o460, 0, false}, {0o640, 0, false}, {0o444, 0, false}} {
		p := placed(t, config.Production)
		p.owner("db-password", 0) // needs root
		if err := os.Chown(p.in("db-password"), 0, c.gid); err != nil {
			t.Fatal(err)
		}
		p.mode("db-password", c.mode)
		p.host.User = 54321
		if _, faults := p.load(); (faults == nil) != c.fine {
			t.Errorf("mode %04o, group %d: %v", c.mode, c.gid, faults)
		}
	}
}

// A secret that is replaced by something that others can read is not used.
func TestASecretIsCheckedAgainWhenItIsRead(t *testing.T) {
	p := placed(t, config.Production)
	c, faults := p.load()
	if faults != nil {
		t.Fatal(faults)
	}
	p.mode("db-password", 0o644)
	if password, err := c.Password(); err == nil || password != "" || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("%q %v", password, err)
	}
}

const header = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

func machine(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

func TestSwap(t *testing.T) {
	const disk, zram = header + "/dev/sda2 partition 8388604 0 -2\n", header + "/dev/zram0 partition 8388604 0 100\n"
	for name, c := range map[string]struct {
		files map[string]string
		on    string // the device that is named; empty: fine
	}{
		"none":                                {map[string]string{"proc/swaps": header}, ""},
		"kernel without swap":                 {map[string]string{}, ""},
		"a partition":                         {map[string]string{"proc/swaps": disk}, "/dev/sda2"},
		"a file":                              {map[string]string{"proc/swaps": header + "/swapfile file 1 0 -2\n"}, "/swapfile"},
		"zram":                                {map[string]string{"proc/swaps": zram, "sys/block/zram0/backing_dev": "none\n"}, ""},
		"zram of a kernel without write-back": {map[string]string{"proc/swaps": zram, "sys/block/zram0/disksize": "1"}, ""},
		"zram that writes back to a disk":     {map[string]string{"proc/swaps": zram, "sys/block/zram0/backing_dev": "/dev/sda3\n"}, "/dev/zram0"},
		"zram of which nothing is known":      {map[string]string{"proc/swaps": zram}, "/dev/zram0"},
		"a disk that is called zram":          {map[string]string{"proc/swaps": header + "/dev/zram/../sda2 partition 1 0 1\n", "sys/block/sda2/x": ""}, "/dev/zram/../sda2"},
		"a disk beside zram":                  {map[string]string{"proc/swaps": zram + "/dev/sda2 partition 1 0 -2\n", "sys/block/zram0/backing_dev": "none"}, "/dev/sda2"},
		"a control group that may use none": {map[string]string{"proc/swaps": disk, "proc/self/cgroup": "0::/system.slice/photovault.service\n",
			"sys/fs/cgroup/system.slice/photovault.service/memory.swap.max": "0\n"}, ""},
		"a parent group that may use none": {map[string]string{"proc/swaps": disk, "proc/self/cgroup": "0::/system.slice/photovault.service\n",
			"sys/fs/cgroup/system.slice/photovault.service/memory.swap.max": "max\n", "sys/fs/cgroup/system.slice/memory.swap.max": "0\n"}, ""},
		"a container that may use none": {map[string]string{"proc/swaps": disk, "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.swap.max": "0\n"}, ""},
		"a group that may use some":     {map[string]string{"proc/swaps": disk, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.swap.max": "1048576\n"}, "/dev/sda2"},
		"another group that may use none": {map[string]string{"proc/swaps": disk, "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.swap.max": "max\n",
			"sys/fs/cgroup/b/memory.swap.max": "0\n"}, "/dev/sda2"},
		"a group seen from outside of its root": {map[string]string{"proc/swaps": disk, "proc/self/cgroup": "0::/../b\n", "sys/fs/cgroup/b/memory.swap.max": "0\n"}, "/dev/sda2"},
		"control groups of version 1":           {map[string]string{"proc/swaps": disk, "proc/self/cgroup": "5:memory:/a\n", "sys/fs/cgroup/a/memory.swap.max": "0\n"}, "/dev/sda2"},
	} {
		t.Run(name, func(t *testing.T) {
			h := config.Host{Root: machine(c.files), User: os.Geteuid(), Now: now}
			err := h.Check(&config.Config{Swap: config.SwapNone})
			if c.on == "" && err != nil || c.on != "" && (err == nil || !strings.Contains(err.Error(), "("+c.on+")")) {
				t.Errorf("%v, want %q", err, c.on)
			}
			if err := h.Check(&config.Config{Swap: config.SwapEncrypted}); err != nil {
				t.Errorf("declared encrypted: %v", err)
			}
		})
	}
}
