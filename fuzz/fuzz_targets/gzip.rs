#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| cuegate_fuzz::check(&cuegate_fuzz::fuzzing::GZIP, input));
