package catalog

// SealedTables are the tables that fsck walks.
func SealedTables() (list []string) {
	for _, t := range sealedTables {
		list = append(list, t.table)
	}
	return list
}
