//! `agentctl rules list`: what is looked for, and what can never be found.

use super::output::Output;
use super::say_source;
use super::view::{View, ViewError};

pub(super) fn run(view: &mut dyn View, output: &mut Output<'_>) -> Result<(), ViewError> {
    let rules = view.rules()?;
    output.list(&rules, "no rules").map_err(ViewError::Output)?;
    say_source(&view.source(), output)
}
