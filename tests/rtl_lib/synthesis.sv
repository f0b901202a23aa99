`define SYNTHESIS  // for the files behind it: the hardware as synthesis sees it
