//! How tools write their switches: the facts that command-line tests need to know about a program.
//!
//! The facts are content (`commandline.toml`); this file only holds them, by image.

use std::collections::HashMap;

/// How one tool writes its switches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolStyle {
    /// Whether its switches differ by case (`curl -T` and `-t`).
    pub case: bool,
    /// Whether one-letter switches after a single dash come in bundles (`-nni`).
    pub bundles: bool,
    /// In bundles: the letters that take a value and so end the bundle.
    pub value_letters: Box<str>,
    /// Whether a token that begins with `/` is cut at each `/` (`/S/E/C`).
    pub slash_cut: bool,
}

/// The styles of all tools that have one, by image.
#[derive(Clone, Default)]
pub struct Tools {
    by_image: HashMap<Box<[u8]>, ToolStyle, foldhash::fast::RandomState>,
    plain: ToolStyle,
}

impl Tools {
    /// Says how a tool writes its switches. Returns whether the image was new.
    pub fn add(&mut self, image: &str, style: ToolStyle) -> bool {
        self.by_image.insert(image.to_lowercase().into_bytes().into(), style).is_none()
    }

    /// The style of an image (lower case); the plain style for others.
    pub fn style(&self, image: &[u8]) -> &ToolStyle {
        self.by_image.get(image).unwrap_or(&self.plain)
    }
}

/// Conditions print their tools; one word will do, since all of one content share them.
impl std::fmt::Debug for Tools {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tools({})", self.by_image.len())
    }
}
