"""A network on a Zynq: registers, IP, the system around it, driver, and a simulated board for all of them."""
