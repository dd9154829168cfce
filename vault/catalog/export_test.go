package catalog

import "database/sql"

// Queries returns every statement run so far, in the engine's form.
func (d *DB) Queries() (list []string) {
	d.queries.Range(func(_, bound any) bool { list = append(list, bound.(string)); return true })
	return list
}

// Writer is the connection that writes, for faults put into it.
func (d *DB) Writer() *sql.DB { return d.writer }
