//! Rust text as the tidy rules see it: comments and the test module taken out, paths and string literals found.

use std::path::Path;

/// One file of `src/`.
pub struct SourceFile {
    /// Path below the repository.
    pub path: String,
    /// Everything.
    pub text: String,
    /// Without comments and without the test module.
    pub code: String,
    /// Lines before the test module, blank ones not counted.
    pub lines_before_tests: usize,
    literals: Vec<String>,
    modules: Vec<String>,
}

/// Every file of `src/` that is not a test, in order of its path.
pub fn source_files() -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 10, "the sources are in src/");
    files
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<SourceFile>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                collect(root, &path, files);
            }
        } else if path.extension().is_some_and(|e| e == "rs") && !is_test(&path) {
            let below = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.push(SourceFile::new(below, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// `tests.rs`, `parser_tests.rs`.
fn is_test(path: &Path) -> bool {
    path.file_stem().and_then(|s| s.to_str()).is_some_and(|stem| stem == "tests" || stem.ends_with("_tests"))
}

impl SourceFile {
    /// `below` is the path below `src/`.
    pub fn new(below: String, text: String) -> SourceFile {
        let modules = below.trim_end_matches(".rs").split('/').filter(|m| *m != "mod").map(str::to_owned).collect();
        let before_tests = text.find("#[cfg(test)]\nmod tests {").map_or(&*text, |at| &text[..at]);
        let (code, literals) = without_comments(before_tests);
        let lines_before_tests = before_tests.lines().filter(|l| !l.trim().is_empty()).count();
        SourceFile { path: format!("src/{below}"), code, literals, lines_before_tests, modules, text }
    }

    /// `store::codec` for `src/store/codec.rs`.
    pub fn module(&self) -> String {
        self.modules.join("::")
    }

    /// `store` for `src/store/codec.rs`.
    pub fn top_module(&self) -> &str {
        &self.modules[0]
    }

    /// The contents of string literals.
    pub fn string_literals(&self) -> impl Iterator<Item = &str> {
        self.literals.iter().map(|l| &**l)
    }

    /// Paths into this library, from its root, groups taken apart.
    pub fn uses(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for prefix in ["crate::", "exfil_agent::"] {
            for at in starts_of(&self.code, prefix) {
                expand(&self.code[at + prefix.len()..], "", &mut paths);
            }
        }
        for at in starts_of(&self.code, "super::") {
            let rest = &self.code[at..];
            let ups = rest.split("::").take_while(|part| *part == "super").count();
            if ups >= self.modules.len() {
                expand(&rest[ups * "super::".len()..], "", &mut paths);
            }
        }
        paths
    }

    /// Whether a path of the code begins with this crate.
    pub fn names_crate(&self, name: &str) -> bool {
        starts_of(&self.code, name).any(|at| {
            let rest = &self.code[at + name.len()..];
            rest.starts_with("::") || (rest.starts_with([';', ' ']) && self.code[..at].ends_with("use "))
        })
    }
}

/// Where `needle` begins a path: not in the middle of a name or of another path.
fn starts_of<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(needle).map(|(at, _)| at).filter(|at| {
        !code[..*at].ends_with(|c: char| c == ':' || is_word(c)) || code[..*at].ends_with(|c: char| c.is_whitespace())
    })
}

/// Takes `a::{b::{self, c}, d}` apart.
fn expand(text: &str, before: &str, paths: &mut Vec<String>) {
    let end = text.find(|c: char| !is_word(c) && c != ':' && c != '*').unwrap_or(text.len());
    let (path, rest) = text.split_at(end);
    let whole = format!("{before}{path}");
    if (path.is_empty() || path.ends_with("::")) && rest.starts_with('{') {
        for member in members(rest) {
            expand(member, &whole, paths);
        }
    } else if !rest.starts_with('!') {
        paths.push(whole.trim_end_matches("self").trim_end_matches(':').to_owned());
    }
}

/// The members of the group that `text` begins with, split at the commas of its own level.
fn members(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut found) = (0, 1, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if (c == ',' && depth == 1) || depth == 0 {
            found.push(text[from..at].trim());
            from = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found.retain(|m| !m.is_empty());
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `word` stands in the text, not as a part of a longer word.
pub fn contains_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let part_of_more = |c: Option<char>| c.is_some_and(|c| is_word(c) || c == '-');
        !part_of_more(text[..at].chars().next_back()) && !part_of_more(text[at + word.len()..].chars().next())
    })
}

/// The text without comments, and the contents of its string literals.
fn without_comments(text: &str) -> (String, Vec<String>) {
    let (mut code, mut literals, mut rest) = (String::new(), Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else {
            let token = token_length(rest, c, code.ends_with(is_word));
            let (token, _) = rest.split_at(token);
            if let Some(literal) = literal_content(token) {
                literals.push(literal.to_owned());
            }
            code.push_str(token);
            token.len()
        };
        rest = &rest[taken..];
    }
    (code, literals)
}

/// The length of the literal or character that `rest` begins with.
fn token_length(rest: &str, first: char, in_word: bool) -> usize {
    let raw = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r')).filter(|_| !in_word);
    if let Some(body) = raw {
        let hashes = body.len() - body.trim_start_matches('#').len();
        if body[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let prefix = rest.len() - body.len() + hashes + 1;
            return rest[prefix..].find(&close).map_or(rest.len(), |at| prefix + at + close.len());
        }
    }
    match first {
        '"' => closing(rest, '"'),
        // A character literal; a lifetime has no quote after its first letter.
        '\'' if rest.starts_with("'\\") => closing(rest, '\''),
        '\'' => {
            let mut ahead = rest.char_indices().skip(2);
            match ahead.next() {
                Some((at, '\'')) => at + 1,
                _ => 1,
            }
        }
        _ => first.len_utf8(),
    }
}

/// The length up to the closing quote, escapes skipped.
fn closing(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn literal_content(token: &str) -> Option<&str> {
    if token.len() < 2 || !token.ends_with(['"', '#']) {
        return None;
    }
    let from = token.find('"')?;
    let to = token.rfind('"')?;
    token.get(from + 1..to)
}
