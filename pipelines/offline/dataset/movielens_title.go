package dataset

import (
	"regexp"
	"strconv"
	"strings"
)

var (
	// titleYear is the year, or the years of a series, at the end of a title, maybe before a mark such as (V) for video.
	titleYear = regexp.MustCompile(`^(.*?)\s*\((\d{4})(?:[-–](?:\d{4})?)?\)\s*(?:\((?:V|TV|TV Series)\)\s*)?$`)
	// titleArticle is an article that was put behind for sorting, maybe before another name in brackets.
	titleArticle = regexp.MustCompile(`^(.+), (The|An|A|La|Le|Les|Il|El|Los|Las|Der|Die|Das)((?: \(.*\))?)$`)
)

// parseTitle parts a MovieLens title into the name as people write it and the year, 0 where there is none:
// "Postman, The (Postino, Il) (1994)" is "The Postman (Postino, Il)" of 1994.
func parseTitle(title string) (name string, year int) {
	name = strings.TrimSpace(title)
	if m := titleYear.FindStringSubmatch(name); m != nil && m[1] != "" {
		name = m[1]
		year, _ = strconv.Atoi(m[2]) // four digits
	}
	if m := titleArticle.FindStringSubmatch(name); m != nil {
		name = m[2] + " " + m[1] + m[3]
	}
	return name, year
}
