#![no_main]
stepwell_libfuzzer::target!("events");
