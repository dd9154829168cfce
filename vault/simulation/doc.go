// Package simulation holds tests only: several replicas of the vault over one
// set of real embedded stores, in one process and in virtual time, on a
// schedule that a seed decides.
//
// Every call of a store, and every step of a client, waits until the scheduler
// picks it; nothing else runs meanwhile. The scheduler also decides what
// becomes of it: done, refused, done and reported as failed, done late, answered
// late, answered with other bytes than were stored, or the last that its replica
// ever did. So the same seed gives the same run, step by step, whatever the
// machine is doing, although keys and ids are fresh in each.
//
// Clients keep a history of what was acknowledged to them, and hold against it
// what they get and what an observer finds in the stores after each step:
//
//	P3  no byte of a redemption that began after an end of its permission was acknowledged on any replica;
//	    no use is committed after it; what runs then is over within two seconds
//	P4  every byte delivered has its own durable intent in the log before it; no token delivers whole more often than it has uses
//	P5  every byte delivered is the one that was sent, whatever the object store answers
//	P7  an acknowledged offset never goes back; what was received becomes ready, exactly as sent, when faults cease; a photo is never
//	    ready with a part missing; one sweep leaves nothing behind; the log verifies
//
// Real: vault.Service, catalog on SQLite, blobs/dir, localkek, envelope, audit.
// Not real: the media pool, whose processes no schedule holds; a function that
// makes three renditions of any bytes stands for it. A crash is that of a
// process: what was written is there (SQLite's and dir's own tests cut the
// power). SQLite orders its writers; the races that PostgreSQL adds within a
// statement are cmd/photovault's and vault/catalog's tests.
//
//	go test ./vault/simulation                                              a handful of seeds
//	PHOTOVAULT_SIM_SEED=17 go test ./vault/simulation -run '^TestSimulation$' -v   that one again
//	make soak                                                               PHOTOVAULT_SIM_SEEDS of them, with figures
package simulation
