#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| b2bua::testing::fuzz::digest(data));
