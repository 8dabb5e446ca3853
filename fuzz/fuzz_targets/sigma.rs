//! See `exfil_agent::fuzz_entry`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| exfil_agent::fuzz_entry::target("sigma")(data));
