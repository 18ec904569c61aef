package searcher

import (
	"fmt"
	"path"
	"strings"
)

// languages maps names, as people write them after lang:, to file name endings and whole file names (those without a dot in front).
func languages() map[string][]string {
	return map[string][]string{
		"ada": {".adb", ".ads"}, "assembly": {".asm", ".s"}, "bash": {".sh", ".bash"}, "shell": {".sh", ".bash", ".zsh", ".ksh"},
		"c": {".c", ".h"}, "c++": {".cc", ".cpp", ".cxx", ".c++", ".hh", ".hpp", ".hxx", ".h", ".inl", ".ipp"}, "c#": {".cs", ".csx"},
		"clojure": {".clj", ".cljs", ".cljc", ".edn"}, "cmake": {".cmake", "CMakeLists.txt"}, "css": {".css"}, "csv": {".csv"}, "cuda": {".cu", ".cuh"},
		"d": {".d"}, "dart": {".dart"}, "diff": {".diff", ".patch"}, "dockerfile": {".dockerfile", "Dockerfile", "Containerfile"}, "elixir": {".ex", ".exs"},
		"elm": {".elm"}, "erlang": {".erl", ".hrl"}, "f#": {".fs", ".fsi", ".fsx"}, "fortran": {".f", ".f90", ".f95", ".for"},
		"go": {".go"}, "graphql": {".graphql", ".gql"}, "groovy": {".groovy", ".gradle", "Jenkinsfile"}, "haskell": {".hs", ".lhs"}, "hcl": {".hcl", ".tf", ".tfvars"},
		"html": {".html", ".htm", ".xhtml"}, "ini": {".ini", ".cfg", ".conf"}, "java": {".java"}, "javascript": {".js", ".mjs", ".cjs", ".jsx"}, "json": {".json", ".jsonl", ".jsonc"},
		"julia": {".jl"}, "kotlin": {".kt", ".kts"}, "latex": {".tex", ".sty", ".cls"}, "less": {".less"}, "lisp": {".lisp", ".lsp", ".cl"}, "lua": {".lua"},
		"makefile": {".mk", ".mak", "Makefile", "GNUmakefile", "makefile"}, "markdown": {".md", ".markdown", ".mdx"}, "matlab": {".m"}, "nix": {".nix"},
		"objective-c": {".m", ".mm"}, "ocaml": {".ml", ".mli"}, "pascal": {".pas", ".pp"}, "perl": {".pl", ".pm", ".t"}, "php": {".php", ".phtml"}, "powershell": {".ps1", ".psm1"},
		"protobuf": {".proto"}, "python": {".py", ".pyi", ".pyw"}, "r": {".r"}, "ruby": {".rb", ".rake", ".gemspec", "Rakefile", "Gemfile"}, "rust": {".rs"},
		"scala": {".scala", ".sbt", ".sc"}, "scheme": {".scm", ".ss"}, "scss": {".scss", ".sass"}, "sql": {".sql"}, "starlark": {".bzl", ".star", "BUILD", "BUILD.bazel", "WORKSPACE"},
		"svg": {".svg"}, "swift": {".swift"}, "tcl": {".tcl"}, "text": {".txt"}, "thrift": {".thrift"}, "toml": {".toml"}, "tsx": {".tsx"}, "typescript": {".ts", ".tsx", ".mts", ".cts"},
		"verilog": {".v", ".vh", ".sv"}, "vhdl": {".vhd", ".vhdl"}, "vim script": {".vim", ".vimrc"}, "vue": {".vue"}, "xml": {".xml", ".xsd", ".xsl", ".xslt"},
		"yaml": {".yaml", ".yml"}, "zig": {".zig"},
	}
}

// aliases are other names that people use.
func aliases() map[string]string {
	return map[string]string{
		"cpp": "c++", "cplusplus": "c++", "cs": "c#", "csharp": "c#", "docker": "dockerfile", "fsharp": "f#", "golang": "go", "js": "javascript", "kt": "kotlin", "make": "makefile",
		"md": "markdown", "objc": "objective-c", "objectivec": "objective-c", "proto": "protobuf", "protocol buffer": "protobuf", "ps1": "powershell", "py": "python", "rb": "ruby", "rs": "rust",
		"sass": "scss", "sh": "shell", "bazel": "starlark", "tex": "latex", "terraform": "hcl", "ts": "typescript", "txt": "text", "vim": "vim script", "viml": "vim script", "yml": "yaml",
	}
}

// language is a set of file names.
type language struct{ endings []string }

// has says whether a file of that path belongs to the language. The case of endings does not count.
func (l language) has(file string) bool {
	base := path.Base(file)
	lower := strings.ToLower(base)
	for _, e := range l.endings {
		if e[0] == '.' && strings.HasSuffix(lower, e) || base == e {
			return true
		}
	}
	return false
}

func findLanguages(names []string) ([]language, error) {
	known, other := languages(), aliases()
	found := make([]language, 0, len(names))
	for _, name := range names {
		key := strings.ToLower(strings.TrimSpace(name))
		if full, ok := other[key]; ok {
			key = full
		}
		endings, ok := known[key]
		if !ok {
			return nil, &Error{Code: ErrBadRequest, Text: fmt.Sprintf("language %q is not known", name), Remedy: `use file:\.ending$ instead`}
		}
		found = append(found, language{endings})
	}
	return found, nil
}
