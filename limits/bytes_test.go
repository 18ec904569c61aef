package limits

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseBytes(t *testing.T) {
	for in, tc := range map[string]struct {
		want    int64
		wantErr string // part of the message; empty for none
	}{
		"512MiB":              {want: 512 << 20},
		"1.5GiB":              {want: 3 << 29},
		"2 TiB":               {want: 2 << 40},
		" 1KiB ":              {want: 1024},
		"4096":                {want: 4096},
		"7B":                  {want: 7},
		"9223372036854775807": {want: math.MaxInt64},
		"0":                   {wantErr: "must be positive"},
		"-1GiB":               {wantErr: "must be positive"},
		"0.1B":                {wantErr: "must be positive"},
		"0.0GiB":              {wantErr: "must be positive"},
		"2GB":                 {wantErr: `unknown unit "GB", use GiB`},
		"2G":                  {wantErr: `unknown unit "G", use GiB`},
		"2gib":                {wantErr: `unknown unit "gib", use GiB`},
		"100Mi":               {wantErr: `unknown unit "Mi", use MiB`},
		"64k":                 {wantErr: `unknown unit "k", use KiB`},
		"1 parsec":            {wantErr: `unknown unit "parsec", use B, KiB, MiB, GiB or TiB`},
		"GiB":                 {wantErr: "no number"},
		"":                    {wantErr: "no number"},
		"1e3MiB":              {wantErr: `"1e3" is not a number`},
		"1.2.3GiB":            {wantErr: `"1.2.3" is not a number`},
		"9000000000TiB":       {wantErr: "is too large"},
		"8388608.0TiB":        {wantErr: "is too large"},
		"9223372036854775808": {wantErr: "is too large"},
	} {
		t.Run(in, func(t *testing.T) {
			got, err := ParseBytes(in)
			requireErr(t, err, tc.wantErr)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestFormatBytes(t *testing.T) {
	for want, n := range map[string]int64{
		"0B": 0, "1023B": 1023, "1KiB": 1024, "1.5GiB": 3 << 29, "512MiB": 512 << 20, "1.33MiB": 1398101, "-2KiB": -2048, "10TiB": 10 << 40,
	} {
		require.Equal(t, want, FormatBytes(n))
	}
}

func TestFormattedBytesParseAgain(t *testing.T) {
	for _, n := range []int64{1, 1023, 1024, 5 << 20, 7 << 30, 3 << 39} {
		got, err := ParseBytes(FormatBytes(n))
		require.NoError(t, err)
		require.Equal(t, n, got)
	}
}

func TestParseCPUs(t *testing.T) {
	for in, tc := range map[string]struct {
		want    float64
		wantErr string
	}{
		"2": {want: 2}, "0.5": {want: 0.5}, "250m": {want: 0.25}, " 1.2345 ": {want: 1.235},
		"0": {wantErr: "must be positive"}, "-1": {wantErr: "must be positive"}, "5m": {wantErr: "outside 0.01 to 4096"},
		"5000": {wantErr: "outside 0.01 to 4096"}, "two": {wantErr: `"two" is not a number`}, "NaN": {wantErr: "not a number"}, "m": {wantErr: "no number"},
	} {
		t.Run(in, func(t *testing.T) {
			got, err := ParseCPUs(in)
			requireErr(t, err, tc.wantErr)
			require.Equal(t, tc.want, got)
		})
	}
	require.Equal(t, "0.25", FormatCPUs(0.25))
	require.Equal(t, "4", FormatCPUs(4))
}

func requireErr(t *testing.T, err error, part string) {
	t.Helper()
	if part == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorContains(t, err, part)
}
