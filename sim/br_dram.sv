// br_dram: the memory behind all AXI4 ports of a design (simulation only).
// Function       words_i beats from address Base on, Words at most: an image from FileName, a hexadecimal number a line,
//                in the folder of +dir=<folder>, and behind its image_i beats random numbers; reset starts it again. Each
//                port answers its bursts in order. A read takes what stands in the memory when its beat is sent, a write stands there when
//                its response is sent: whoever does not wait for the response reads what was there before. With Keep
//                a reset ends bursts and leaves the numbers as they are
// Time           a burst's first beat, or the response to its last one, latency_i cycles after it was asked for, 1 or
//                more; all ports together move rate_i/256 bytes a cycle, or, for 0, each a beat a cycle and direction;
//                nothing moves in refresh_cycles_i of refresh_every_i cycles, if that is not 0
// Stalls         every channel is held up with probability stall_i/65536 a cycle, 0 = never. With stalls and an odd
//                seed_i a ready also waits for its valid
// Errors         the read burst of the number read_error_i, counted from 1 in the order of all ports, is answered with
//                SLVERR and wrong data, read_lost_i never; so are the write bursts of write_error_i and write_lost_i,
//                and not written; outside of the memory the answer is DECERR
// Outputs        by port: beats read and written, bursts that have no whole answer yet; moved_o: a beat or a response was
//                taken in this cycle

`default_nettype none

module br_dram #(
  parameter int unsigned                 Ports     = 1,
  parameter int unsigned                 DataWidth = 64,          // bits of a beat
  parameter int unsigned                 AddrWidth = 32,          // bits of an address
  parameter int unsigned                 Words     = 1024,        // most beats of the memory
  parameter logic        [AddrWidth-1:0] Base      = '0,          // address of the first byte
  parameter                              FileName  = "dram.hex",
  parameter bit                          Keep      = 1'b0         // whether only the first reset fills the memory
) (
  input wire         clk_i,
  input wire         rst_ni,
  input wire integer cycle_i,
  input wire integer words_i,
  input wire integer image_i,
  input wire integer latency_i,
  input wire integer rate_i,
  input wire integer refresh_every_i,
  input wire integer refresh_cycles_i,
  input wire integer stall_i,
  input wire integer seed_i,
  input wire integer read_error_i,
  input wire integer read_lost_i,
  input wire integer write_error_i,
  input wire integer write_lost_i,

  input  wire  [Ports-1:0][AddrWidth-1:0] araddr_i,
  input  wire  [Ports-1:0][          7:0] arlen_i,
  input  wire             [    Ports-1:0] arvalid_i,
  output logic            [    Ports-1:0] arready_o,
  output logic [Ports-1:0][DataWidth-1:0] rdata_o,
  output logic [Ports-1:0][          1:0] rresp_o,
  output logic            [    Ports-1:0] rlast_o,
  output logic            [    Ports-1:0] rvalid_o,
  input  wire             [    Ports-1:0] rready_i,

  input  wire  [Ports-1:0][  AddrWidth-1:0] awaddr_i,
  input  wire  [Ports-1:0][            7:0] awlen_i,
  input  wire             [      Ports-1:0] awvalid_i,
  output logic            [      Ports-1:0] awready_o,
  input  wire  [Ports-1:0][  DataWidth-1:0] wdata_i,
  input  wire  [Ports-1:0][DataWidth/8-1:0] wstrb_i,
  input  wire             [      Ports-1:0] wlast_i,
  input  wire             [      Ports-1:0] wvalid_i,
  output logic            [      Ports-1:0] wready_o,
  output logic [Ports-1:0][            1:0] bresp_o,
  output logic            [      Ports-1:0] bvalid_o,
  input  wire             [      Ports-1:0] bready_i,

  output logic [Ports-1:0][31:0] reads_o,
  output logic [Ports-1:0][31:0] writes_o,
  output logic [Ports-1:0][31:0] owed_o,
  output logic                   moved_o
);

  localparam int unsigned Queue = 128;  // bursts of a direction that a port takes before their answer
  localparam int unsigned Bytes = DataWidth / 8;
  localparam int unsigned Longest = 256;  // beats of a burst

  typedef struct {
    int first;  // its first word in the memory
    int beats;
    int due;  // cycle of the answer
    logic [1:0] resp;
    logic lost;
  } burst_t;

  logic [DataWidth-1:0] mem[Words];
  logic loaded = 1'b0;
  logic paused, open;
  int budget;  // 1/256 bytes that may move; less than 0 is made up for
  int reads, writes;  // bursts of all ports
  logic [31:0] random;
  string folder;

  // What the ports remember: bursts taken, with all data, answered; beats of the burst that is under way.
  burst_t read[Ports][Queue], write[Ports][Queue];
  logic [DataWidth-1:0] data[Ports][Queue*Longest];
  logic [DataWidth/8-1:0] strobes[Ports][Queue*Longest];
  int read_taken[Ports], read_done[Ports], read_beat[Ports];
  int write_taken[Ports], write_full[Ports], write_done[Ports], write_beat[Ports];

  logic [Ports-1:0] go_ar, go_r, go_aw, go_w, go_b, room_ar, room_aw, room_w;

  for (genvar p = 0; p < Ports; p++) begin : gen_port
    for (genvar c = 0; c < 5; c++) begin : gen_channel
      logic go;
      br_stall u_stall (
        .clk_i,
        .rst_ni,
        .stall_i,
        .seed_i((seed_i + 5 * p + c) * 32'h9E3779B1),
        .go_o  (go)
      );
    end
    assign go_ar[p] = gen_channel[0].go && (stall_i == 0 || !seed_i[0] || arvalid_i[p]);
    assign go_aw[p] = gen_channel[1].go && (stall_i == 0 || !seed_i[0] || awvalid_i[p]);
    assign go_w[p]  = gen_channel[2].go && (stall_i == 0 || !seed_i[0] || wvalid_i[p]);
    assign go_r[p]  = gen_channel[3].go;
    assign go_b[p]  = gen_channel[4].go;
  end

  assign arready_o = room_ar & go_ar;
  assign awready_o = room_aw & go_aw;
  assign wready_o = room_w & go_w;
  assign moved_o = (rvalid_o & rready_i) != '0 || (wvalid_i & wready_o) != '0 || (bvalid_o & bready_i) != '0;

  function automatic burst_t burst(logic [AddrWidth-1:0] address, logic [7:0] len, logic wrong, logic lost);
    burst.first = int'((address - Base) / Bytes);
    burst.beats = int'(len) + 1;
    burst.due = cycle_i + latency_i;
    burst.lost = lost;
    burst.resp = wrong ? 2'b10 : 2'b00;
    if (address < Base || burst.first < 0 || burst.first + burst.beats > words_i) burst.resp = 2'b11;
  endfunction

  task automatic load();
    $readmemh({folder, "/", FileName}, mem);
    random = seed_i;
    for (int i = image_i; i < words_i; i++) begin
      for (int unsigned b = 0; b < DataWidth; b += 32) begin
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        mem[i][b+:32] = random;
      end
    end
  endtask

  // What is written here with = is read nowhere else.
  task automatic take(int p);
    if (arvalid_i[p] && arready_o[p]) begin
      reads++;
      read[p][read_taken[p]%Queue] = burst(araddr_i[p], arlen_i[p], reads == read_error_i, reads == read_lost_i);
      read_taken[p]++;
    end
    if (awvalid_i[p] && awready_o[p]) begin
      writes++;
      write[p][write_taken[p]%Queue] = burst(awaddr_i[p], awlen_i[p], writes == write_error_i, writes == write_lost_i);
      write_taken[p]++;
    end
    if (wvalid_i[p] && wready_o[p]) begin
      automatic int slot = write_full[p] % Queue;
      data[p][slot*Longest+write_beat[p]] = wdata_i[p];
      strobes[p][slot*Longest+write_beat[p]] = wstrb_i[p];
      write_beat[p]++;
      budget -= 256 * Bytes;
      writes_o[p] <= writes_o[p] + 1;
      if (wlast_i[p] != (write_beat[p] == write[p][slot].beats)) begin
        $fatal(1, "br_dram: wlast is %b on beat %0d of a burst of %0d, in cycle %0d", wlast_i[p], write_beat[p],
               write[p][slot].beats, cycle_i);
      end
      if (wlast_i[p]) begin
        write[p][slot].due = cycle_i + latency_i;
        write_beat[p] = 0;
        write_full[p]++;
      end
    end
    if (rvalid_o[p] && rready_i[p]) reads_o[p] <= reads_o[p] + 1;
  endtask

  task automatic answer(int p);
    automatic burst_t one = read[p][read_done[p]%Queue];
    if (!rvalid_o[p] || rready_i[p]) begin
      rvalid_o[p] <= 1'b0;
      if (open && go_r[p] && read_done[p] != read_taken[p] && !one.lost && cycle_i + 1 >= one.due) begin
        rvalid_o[p] <= 1'b1;
        rresp_o[p] <= one.resp;
        rdata_o[p] <= one.resp == 2'b00 ? mem[one.first+read_beat[p]] :
                      one.resp == 2'b10 ? ~mem[one.first+read_beat[p]] : '1;
        read_beat[p]++;
        budget -= 256 * Bytes;
        rlast_o[p] <= read_beat[p] == one.beats;
        if (read_beat[p] == one.beats) begin
          read_beat[p] = 0;
          read_done[p]++;
        end
      end
    end
    one = write[p][write_done[p]%Queue];
    if (!bvalid_o[p] || bready_i[p]) begin
      bvalid_o[p] <= 1'b0;
      if (go_b[p] && write_done[p] != write_full[p] && !one.lost && cycle_i + 1 >= one.due) begin
        bvalid_o[p] <= 1'b1;
        bresp_o[p]  <= one.resp;
        if (one.resp == 2'b00) begin
          for (int i = 0; i < one.beats; i++) begin
            automatic int at = write_done[p] % Queue * Longest + i;
            for (int unsigned b = 0; b < Bytes; b++) begin
              if (strobes[p][at][b]) mem[one.first+i][8*b+:8] = data[p][at][8*b+:8];
            end
          end
        end
        write_done[p]++;
      end
    end
  endtask

  initial if (!$value$plusargs("dir=%s", folder)) folder = ".";

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      if (!Keep) loaded = 1'b0;
      budget = 0;
      reads  = 0;
      writes = 0;
      for (int p = 0; p < int'(Ports); p++) begin
        read_taken[p]  = 0;
        read_done[p]   = 0;
        read_beat[p]   = 0;
        write_taken[p] = 0;
        write_full[p]  = 0;
        write_done[p]  = 0;
        write_beat[p]  = 0;
      end
      {rvalid_o, bvalid_o, room_ar, room_aw, room_w, reads_o, writes_o, owed_o} <= '0;
    end else begin
      if (!loaded) load();
      loaded = 1'b1;
      for (int p = 0; p < int'(Ports); p++) take(p);
      paused = refresh_every_i != 0 && cycle_i % refresh_every_i < refresh_cycles_i;
      if (rate_i == 0) budget = 1;
      else if (!paused) budget = budget + rate_i > rate_i ? rate_i : budget + rate_i;
      open = !paused && budget > 0;
      for (int p = 0; p < int'(Ports); p++) begin
        answer(p);
        room_ar[p] <= read_taken[p] - read_done[p] < int'(Queue);
        room_aw[p] <= write_taken[p] - write_done[p] < int'(Queue);
        room_w[p]  <= open && write_full[p] != write_taken[p];
        owed_o[p]  <= read_taken[p] - read_done[p] + write_taken[p] - write_done[p];
      end
    end
  end

endmodule

`default_nettype wire
