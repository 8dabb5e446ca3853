//! Conditions over the fields of one event.
use crate::event::EventView;
/// Buffers.
#[derive(Debug, Default)]
pub struct Scratch {}
/// A compiled condition.
#[derive(Debug, Default)]
pub struct Condition {}
impl Condition {
    /// Which tests held.
    pub fn explain(&self, _event: EventView<'_>, _scratch: &mut Scratch) -> Vec<crate::alert::Matched> {
        Vec::new()
    }
}
