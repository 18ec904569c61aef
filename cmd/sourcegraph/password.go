package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

func passwordFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "password-stdin", Usage: "take the password from the first line of stdin"},
		&cli.BoolFlag{Name: "generate", Usage: "make a password and print it once"},
	}
}

// newPassword is a password as the flags say: made here, read from stdin, or typed twice on the terminal, which does not show it.
func newPassword(c *cli.Context, what string) (string, error) {
	switch {
	case c.Bool("generate") && c.Bool("password-stdin"):
		return "", usage("--generate and --password-stdin are two passwords: give one of them")
	case c.Bool("generate"):
		return rand.Text(), nil // 130 bits
	case c.Bool("password-stdin"):
		return firstLine(c.App.Reader)
	}
	terminal, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return "", usageError{"there is no terminal to type a password on", "give --password-stdin or --generate"}
	}
	defer terminal.Close()
	return typed(terminal, what)
}

func firstLine(in io.Reader) (string, error) {
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password from stdin: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", usage("there is no password on stdin")
	}
	return line, nil
}

// typed asks twice.
func typed(terminal *os.File, what string) (string, error) {
	var answers [2]string
	for i, question := range []string{what + ": ", "the same again: "} {
		if _, err := io.WriteString(terminal, question); err != nil {
			return "", fmt.Errorf("ask for a password: %w", err)
		}
		answer, err := term.ReadPassword(int(terminal.Fd()))
		_, _ = io.WriteString(terminal, "\n") // the one that was typed is not shown either
		if err != nil {
			return "", fmt.Errorf("read a password: %w", err)
		}
		answers[i] = string(answer)
	}
	if answers[0] != answers[1] {
		return "", usage("the two are not the same; nothing was changed")
	}
	return answers[0], nil
}
