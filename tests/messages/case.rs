//! The files: read, and written anew in one form.

use serde::Deserialize;
use std::fmt::Write;
use std::fs;
use std::path::Path;

#[derive(Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The situation.
    pub about: String,
    /// Where its cases happen.
    pub world: String,
    pub case: Vec<Case>,
}

#[derive(Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the user did.
    pub name: String,
    /// Done before, in the directory of the case; it is a fresh one then.
    #[serde(default)]
    pub setup: String,
    /// The commands, for a shell.
    pub run: String,
    /// Run as this user and group: the case needs root.
    #[serde(default)]
    pub needs_root: bool,
    /// Exit code.
    #[serde(default)]
    pub code: i32,
    #[serde(default)]
    pub stdout: String,
    #[serde(default)]
    pub stderr: String,
}

impl File {
    pub fn read(path: &Path) -> File {
        let text = fs::read_to_string(path).unwrap();
        let mut file: File = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        // A line break ends what is said; TOML has it after the opening quotes already.
        for case in &mut file.case {
            case.setup = case.setup.trim_end().to_owned();
            case.run = case.run.trim_end().to_owned();
        }
        file
    }

    pub fn write(&self, path: &Path) {
        let mut out = format!("about = {:?}\nworld = {:?}\n", self.about, self.world);
        for case in &self.case {
            write!(out, "\n[[case]]\nname = {:?}\n", case.name).unwrap();
            let mut text = |key: &str, value: &str| {
                if value.is_empty() {
                    return;
                }
                assert!(!value.contains("'''"), "{value}");
                match value.contains(['\n', '\'']) {
                    true => writeln!(out, "{key} = '''\n{value}\n'''").unwrap(),
                    false => writeln!(out, "{key} = '{value}'").unwrap(),
                }
            };
            text("setup", &case.setup);
            text("run", &case.run);
            if case.needs_root {
                out.push_str("needs_root = true\n");
            }
            writeln!(out, "code = {}", case.code).unwrap();
            let mut text = |key: &str, value: &str| {
                if !value.is_empty() {
                    assert!(!value.contains("'''"), "{value}");
                    writeln!(out, "{key} = '''\n{value}'''").unwrap();
                }
            };
            text("stdout", &case.stdout);
            text("stderr", &case.stderr);
        }
        fs::write(path, out).unwrap();
    }
}
