#![no_main]
stepwell_libfuzzer::target!("test_state");
