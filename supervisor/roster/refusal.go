package roster

// Exit codes of the command line that this package asks for.
const (
	CodeInvalid = 2 // wrong usage or invalid configuration
	CodeRefused = 6 // busy or taken by another
)

// Refusal is an error that ends `run` with its own exit code.
type Refusal struct {
	Code   int
	Err    error
	Remedy string
}

func (r *Refusal) Error() string { return r.Err.Error() }
func (r *Refusal) Unwrap() error { return r.Err }

// Hint is what to do about it.
func (r *Refusal) Hint() string { return r.Remedy }

// ExitCode is the exit code of interface.md that fits.
func (r *Refusal) ExitCode() int { return r.Code }

func invalid(err error, remedy string) error {
	if err == nil {
		return nil
	}
	return &Refusal{Code: CodeInvalid, Err: err, Remedy: remedy}
}
