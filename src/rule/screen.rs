//! stub
use super::Rule;
use super::condition::Scratch;
use crate::batch::*;
use crate::event::*;
use crate::model::ModelSpec;
/// stub
#[derive(Debug)]
pub struct Screen;
impl Screen {
    /// stub
    pub fn new(_: &[Rule], _: &[ModelSpec]) -> Screen {
        Screen
    }
    /// stub
    pub fn wanted(&self) -> [FieldSet; EventType::COUNT] {
        Default::default()
    }
    /// stub
    pub fn judge(&self, _e: EventView<'_>, _s: &mut Scratch, _h: &mut Vec<Hit>, _t: &mut Vec<Training>) -> bool {
        false
    }
}
