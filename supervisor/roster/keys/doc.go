// Package keys makes one Go struct the only description of a YAML file: its tags are what the decoder obeys, the JSON Schema says, the
// reference page prints, and `config explain` answers from.
//
//	type File struct {
//		Listen Address       `yaml:"listen,omitempty" doc:"where the front door listens" example:"127.0.0.1:7081" unset:"127.0.0.1:7080"`
//		Grace  time.Duration `yaml:"grace,omitempty" doc:"from TERM to KILL" min:"0s" max:"24h" default:"10s"`
//	}
//
// The tags of a field:
//
//	yaml      its key; ",inline" takes the keys of a struct as one's own
//	doc       what it does, one sentence without a full stop
//	example   a value that works, as it is written in YAML
//	default   what it is when its mapping is given without it; unset: what holds then, in words, when somebody else decides that
//	min, max  bounds of numbers and durations, of each entry in a map or list
//	enum      the texts that are allowed, separated by commas
//	pattern   what a text must match, and wants: the same in words, to follow "is not"; format:"regex": it must compile
//	key       what the keys of a map are called, and keypattern, keywants
//	null      null is a value; the text says what it means
//	only      the one value of a bool that makes sense
//	unique    entries of a list differ
//	one       a list of one entry may be written without the list
//	without   keys of the field's struct that it does not have here, separated by commas
//	changing  what a change of it does to what runs; inherited by what is inside
//	flag, env the flag and the variable that win over the file
//
// The decoder promises: nothing in a file is ignored, and every fault comes with file, line and column, all of them at once.
package keys
