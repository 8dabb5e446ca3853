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
    let mut out = fs::File::create(variable("OUT_DIR").join("embedded.rs"))?;
    writeln!(out, "/// Name below `config/content` and text of every shipped file, by name.")?;
    writeln!(out, "pub(super) static EMBEDDED: &[(&str, &str)] = &[")?;
    for name in files {
        // By a variable, so that the list serves wherever the project is moved to.
        let below = format!("/config/content/{name}");
        writeln!(out, "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {below:?}))),")?;
    }
    writeln!(out, "];")
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
