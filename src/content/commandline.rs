//! Reads `commandline.toml`: how tools write their switches.

use super::fault::Faults;
use super::section::Document;
use crate::rule::tools::{ToolStyle, Tools};

const KEYS: &[&str] = &["image", "case", "bundles", "value_letters", "slash_cut"];

/// The styles of all tools that the document names.
pub fn read(document: Option<&Document>, faults: &mut Faults) -> Tools {
    let mut tools = Tools::default();
    let Some(document) = document else { return tools };
    document.read(faults, |top, faults| {
        for tool in top.tables("tool", faults) {
            let images = tool.strings("image", faults).unwrap_or_default();
            tool.set_item(format!("tool {}", images.join(", ")));
            if images.is_empty() {
                tool.fault(faults, tool.line, "image is missing");
            }
            let style = ToolStyle {
                case: tool.boolean("case", faults).unwrap_or(false),
                bundles: tool.boolean("bundles", faults).unwrap_or(false),
                value_letters: tool.string("value_letters", faults).unwrap_or_default().into(),
                slash_cut: tool.boolean("slash_cut", faults).unwrap_or(false),
            };
            if !style.bundles && !style.value_letters.is_empty() {
                let line = tool.line_of("value_letters");
                tool.fault(faults, line, "value_letters means nothing without bundles = true");
            }
            tool.finish(KEYS, faults);
            for image in &images {
                if !tools.add(image, style.clone()) {
                    tool.fault(faults, tool.line, format!("{image:?} has a style already"));
                }
            }
        }
        top.finish(&["tool"], faults);
        Some(())
    });
    tools
}
