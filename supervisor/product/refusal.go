package product

// Exit codes of the command line that this package asks for.
const (
	codeInvalid  = 2
	codeNotRight = 3
	codeRefused  = 6
)

// Refusal is an error with an exit code and a remedy. Nothing was changed.
type Refusal struct {
	Code int
	Text string
	Fix  string
}

func (r *Refusal) Error() string { return r.Text }

// Hint is what to do about it.
func (r *Refusal) Hint() string { return r.Fix }

// ExitCode is the exit code that fits.
func (r *Refusal) ExitCode() int { return r.Code }
