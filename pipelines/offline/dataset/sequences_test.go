package dataset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var splitFiles = map[string]string{
	"items.tsv":            "1\t1198\tRaiders (1981)\tAction|Adventure\n2\t3552\tCaddyshack (1980)\tComedy\n3\t1\tHeat\t\n",
	"gsas_train_input.txt": "1\n2 3\n",
	"gsas_val_input.txt":   "1\n",
	"gsas_val_output.txt":  "2\n",
	"gsas_test_output.txt": "3\n1\n",
	"ml-1m_sas.txt":        "1 1\n1 2\n1 3\n2 2\n2 3\n2 1\n",
}

func TestReadSASRecSplit(t *testing.T) {
	s, err := ReadSASRecSplit(write(t, splitFiles))
	require.NoError(t, err)
	require.Equal(t, [][]int32{{0}, {1, 2}}, s.Train)
	require.Equal(t, []Case{{User: 0, History: []int32{0}, Targets: []int32{1}}}, s.Validation)
	require.Equal(t, []Case{
		{User: 0, History: []int32{0, 1}, Targets: []int32{2}},
		{User: 1, History: []int32{1, 2}, Targets: []int32{0}},
	}, s.Test)
	require.Equal(t, "Caddyshack", s.Items[1].Title)
}

func TestReadSASRecSplitRefuses(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"items out of order": {"items.tsv", "2\t1\tx\ty\n", `items.tsv:1: item "2" is out of order`},
		"item out of range":  {"gsas_train_input.txt", "1\n2 4\n", `gsas_train_input.txt:2: item "4" is not a number`},
		"users out of order": {"ml-1m_sas.txt", "1 1\n3 1\n", `ml-1m_sas.txt:2: user "3" is out of order`},
		"answers missing":    {"gsas_val_output.txt", "", "gsas_val_output.txt has 0 lines for 1 users"},
		"two answers":        {"gsas_val_output.txt", "1 2\n", "gsas_val_output.txt:1: 2 items instead of one"},
		"another last item":  {"gsas_test_output.txt", "3\n2\n", "gsas_test_output.txt:2: not the user's last item"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadSASRecSplit(write(t, with(splitFiles, c.file, c.text)))
			require.ErrorContains(t, err, c.want)
		})
	}
}
