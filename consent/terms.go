package consent

import "time"

// Terms are the most that a retrieval token of one form may be asked for.
type Terms struct {
	Life time.Duration
	Uses int
}

// terms of tokens by role and form: what the work of the role needs, and no
// more (164.514(d)(2)). A form that is not listed is not given.
//
// A provider may keep a chart open through a visit. Marketing fetches a photo
// to publish it, and a record system asks anew each time it shows one.
var terms = map[Role]map[Form]Terms{
	Provider:  {InPath: {5 * time.Minute, 1}, InHeader: {MaxLife, MaxUses}},
	Marketing: {InPath: {PathLife, 1}, InHeader: {15 * time.Minute, 10}},
	EMR:       {InPath: {PathLife, 1}, InHeader: {HeaderLife, 3}},
}

// Terms returns those of the role's tokens of the form; zero ones allow none.
func (r Role) Terms(f Form) Terms { return terms[r][f] }
