//! Embeds every file below `config/content` into the binary, as a generated list: a new rule is only a new file.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).unwrap_or_default();
    let root = variable("CARGO_MANIFEST_DIR").join("config").join("content");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=config/content");

    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    files.sort();
    let (mut list, mut loaded, mut tests) = (String::new(), String::new(), String::new());
    for name in files {
        let text = fs::read_to_string(root.join(&name))?;
        let (before, behind) = text.split_at(tests_at(&name, &text));
        list += &format!("    ({name:?}, {}, {}),\n", before.len(), behind.len());
        loaded += before;
        tests += behind;
    }
    let out = |name: &str| variable("OUT_DIR").join(name);
    fs::write(out("loaded.txt"), loaded)?;
    fs::write(out("tests.txt"), tests)?;
    let mut file = fs::File::create(out("embedded.rs"))?;
    writeln!(
        file,
        "/// Name below `config/content` of every shipped file, by name, with its bytes in `LOADED` and in `TESTS`."
    )?;
    writeln!(file, "static EMBEDDED: &[(&str, usize, usize)] = &[\n{list}];")?;
    for (name, text) in [("LOADED", "loaded.txt"), ("TESTS", "tests.txt")] {
        writeln!(file, "static {name}: &str = include_str!(concat!(env!(\"OUT_DIR\"), \"/{text}\"));")?;
    }
    Ok(())
}

/// Where the tests of a shipped rule begin, which stand last in it; the end of any other file. An agent that starts has no use
/// for them: they are three quarters of the text, and where they lie apart, no page of them comes into its memory.
fn tests_at(name: &str, text: &str) -> usize {
    let heads = ["\n[test_history]\n", "\n[[test]]\n"].iter().filter_map(|head| text.find(head)).min();
    heads.filter(|_| name.starts_with("rules/")).map_or(text.len(), |at| at + 1)
}

/// Content files below a directory: `.toml` and `.txt`, hidden ones left out.
fn collect(root: &Path, dir: &Path, files: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|e| e == "toml" || e == "txt") {
            files.push(path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/"));
        }
    }
    Ok(())
}
