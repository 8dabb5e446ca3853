//! stub
/// stub
pub fn csv_record(rest: &[u8]) -> (usize, u64) {
    (rest.len(), 1)
}
