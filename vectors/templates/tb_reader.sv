  // One word a line, exactly ceil(bits / 4) lower-case hex digits, no bit above the bits; lines that start with / are
  // comments.
  integer file;
  integer letter;
  integer length;
  logic [63:0] word;
  logic more;
  logic failed;
  logic ended;

  task open(input string at);
    begin
      file = $$fopen(at, "r");
      if (file == 0 && !failed) begin
        failed = 1'b1;
        $$fatal(1, "%s cannot be read, expected a file of the case", at);
      end
    end
  endtask

  // the first letter of the next line that is no comment; more is 0 at the end of the file
  task next_line(input integer from);
    begin
      letter = failed ? -1 : $$fgetc(from);
      while (letter == 47) begin
        while (letter != 10 && letter != -1) letter = $$fgetc(from);
        if (letter == 10) letter = $$fgetc(from);
      end
      more = letter != -1;
    end
  endtask

  task next_word(input string what, input integer from, input integer bits);
    begin
      word = 64'd0;
      length = 0;
      next_line(from);
      if (!failed && !more) begin
        failed = 1'b1;
        $$fatal(1, "%s ends at row %0d, expected more words; $case", what, row);
      end
      while (!failed && letter != 10 && letter != -1) begin
        if (letter >= 48 && letter <= 57) word = (word << 4) | 64'(letter - 48);
        else if (letter >= 97 && letter <= 102) word = (word << 4) | 64'(letter - 87);
        else begin
          failed = 1'b1;
          $$fatal(1, "%s has a character that is no digit at row %0d, expected 0-9 and a-f; $case", what, row);
        end
        length = length + 1;
        letter = $$fgetc(from);
      end
      if (!failed && length != (bits + 3) / 4) begin
        failed = 1'b1;
        $$fatal(1, "%s has a word of %0d digits at row %0d, expected %0d; $case", what, length, row, (bits + 3) / 4);
      end
      if (!failed && bits < 64 && (word >> bits) != 64'd0) begin
        failed = 1'b1;
        $$fatal(1, "%s has the word %h at row %0d, expected %0d bits; $case", what, word, row, bits);
      end
    end
  endtask

  task at_end(input string what, input integer from);
    begin
      next_line(from);
      if (!failed && more) begin
        failed = 1'b1;
        $$fatal(1, "%s has more words, expected %0d rows; $case", what, row);
      end
      $$fclose(from);
    end
  endtask
