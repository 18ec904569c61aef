package product

import (
	"fmt"

	"golang.org/x/crypto/bcrypt"
)

// maxPassword is what bcrypt looks at, in bytes.
const maxPassword = 72

// Hash is what the product keeps of a password. min is in characters: what the site configuration asks for.
// src: sourcegraph: internal/database/users.go (hashPassword: bcrypt of the default cost; CheckPasswordLength)
func Hash(password string, min int) (string, error) {
	if n := len([]rune(password)); n < min {
		return "", &Refusal{codeInvalid, fmt.Sprintf("the password has %d characters, and the site asks for %d at least", n, min), "give a longer one, or let --generate make one"}
	}
	if len(password) > maxPassword {
		return "", &Refusal{codeInvalid, fmt.Sprintf("the password has %d bytes, and bcrypt takes %d at most", len(password), maxPassword), "give a shorter one"}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return "", fmt.Errorf("hash the password: %w", err)
	}
	return string(hash), nil
}
