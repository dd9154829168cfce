package container_test

import (
	"os"
	"slices"
	"testing"

	"photovault/cmd/photovault/config"
)

// The configuration says what it must, and each file that it names is mounted
// where it says, or lies in a volume.
func TestTheConfigurationFitsTheContainer(t *testing.T) {
	text, err := os.ReadFile("config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	service := compose(t).Services["photovault"]
	var mounted []string
	for _, m := range slices.Concat(service.Configs, service.Secrets) {
		mounted = append(mounted, m.Target)
	}
	for _, path := range []string{c.Server.Certificate, c.Server.Key, c.Server.CA, c.Keys.Transit.CA, c.Keys.Transit.AppRole.SecretIDFile,
		c.Objects.S3.CA, c.Objects.S3.CredentialsFile, c.Catalog.Postgres.CA, c.Catalog.Postgres.PasswordFile} {
		if !slices.Contains(mounted, path) {
			t.Errorf("%s is not mounted: %v", path, mounted)
		}
	}
	if len(service.Volumes) != 1 || service.Volumes[0].Target != "/var/lib/photovault" || c.Checkpoint != "/var/lib/photovault/checkpoint.json" {
		t.Errorf("the checkpoint %s outlives no container: %v", c.Checkpoint, service.Volumes)
	}
	for host, address := range map[string]string{"transit": c.Keys.Transit.Address, "objects": c.Objects.S3.Endpoint, "database": "https://" + c.Catalog.Postgres.Host} {
		if _, ok := compose(t).Services[host]; !ok || !slices.Contains([]string{"https://" + host, "https://" + host + ":8200", "https://" + host + ":7070"}, address) {
			t.Errorf("%s is not the service %s", address, host)
		}
	}
}
