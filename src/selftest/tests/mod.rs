//! What the tests beside the shipped rules must hold, and that they notice when a rule changes.

mod failing;
mod mutants;
mod mutate;
mod shipped;

use super::*;
use crate::content::cases::Test;
use crate::content::{ContentFile, ContentFiles};

/// The shipped content as it lies in the tree: what is changed there is tested without a build.
fn tree() -> ContentFiles {
    let mut files = ContentFiles::shipped();
    for (name, file) in &mut files.0 {
        file.text = std::fs::read_to_string(format!("{}/config/content/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    }
    files
}

/// Files as layers: nobody asks where they come from.
fn layers(files: &ContentFiles) -> Layers {
    Layers { files: files.clone(), ..Layers::default() }
}

/// The shipped content with some files changed or added, by name.
fn shipped_with(files: &[(&str, &str)]) -> ContentFiles {
    let mut all = ContentFiles::shipped();
    for (name, text) in files {
        all.0.insert((*name).into(), ContentFile { shown: (*name).into(), text: (*text).into(), shipped: false });
    }
    all
}
