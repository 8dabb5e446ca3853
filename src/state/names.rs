//! Ids of rules and models: what the working set's indices become in the store. Knows nothing else of them.

/// Ids of rules and models by index: what indices become in the store.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Rule ids.
    pub rules: Vec<String>,
    /// Model ids.
    pub models: Vec<String>,
}

impl Names {
    /// Index of a rule.
    pub fn rule(&self, id: &str) -> Option<u16> {
        self.rules.iter().position(|r| r == id).map(|i| i as u16)
    }
    /// Index of a model.
    pub fn model(&self, id: &str) -> Option<u16> {
        self.models.iter().position(|m| m == id).map(|i| i as u16)
    }
}
