package siteconfig

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckTakesWhatTheProductTakes(t *testing.T) {
	s, err := Check("{\n  // comments\n  \"auth.minPasswordLength\": 9,\n  \"auth.providers\": [{\"type\": \"saml\"}, {\"type\": \"builtin\"},],\n  \"new.setting\": {},\n}\n")
	require.NoError(t, err)
	require.Equal(t, Settings{9, true, []string{"auth.minPasswordLength", "auth.providers", "new.setting"}}, s)
	s, err = Check(`{"auth.providers": [{"type": "saml"}]}`)
	require.NoError(t, err)
	require.Equal(t, Settings{12, false, []string{"auth.providers"}}, s)
	s, err = Check(`{}`)
	require.NoError(t, err)
	require.Equal(t, Settings{12, true, nil}, s)
}

func TestCheckFindsAllFaultsWithTheirPlace(t *testing.T) {
	_, err := Check("{\n  \"externalURL\": \"code.example.com\",\n  \"licenseKey\": 7,\n  \"auth.providers\": [{}],\n  \"email.smtp\": {\"host\": \"h\"},\n  \"a\": {\"b\": 1, \"b\": 2},\n  \"licenseKey\": \"x\"\n}")
	for _, want := range []string{
		"line 2, column 18: externalURL", "line 3, column 17: licenseKey must be a text", "line 4, column 21: auth.providers [0]", "line 5, column 17: email.smtp must be",
		"line 6, column 17: b was said before, at line 6, column 9", "line 7, column 3: licenseKey was said before, at line 3, column 3",
	} {
		require.ErrorContains(t, err, want)
	}
	for text, want := range map[string]string{"": "not JSON", "[1]": "not an object", "{\n\"a\": 1\n\"b\": 2}": "line 3", `{"auth.minPasswordLength": "9"}`: "whole number"} {
		_, err := Check(text)
		require.ErrorContains(t, err, want, text)
	}
}
