  // One word a line, exactly ceil(bits / 4) lower-case hex digits, no bit above the width; lines that start with / are
  // comments.
  integer file;
  integer found;
  integer length;
  integer place;
  logic [7:0] letter;
  logic [63:0] word;
  logic more;
  logic failed;
  logic [8*1024-1:0] line;

  task open(input string path);
    begin
      file = $$fopen(path, "r");
      if (file == 0 && !failed) begin
        failed = 1'b1;
        $$fatal(1, "%s cannot be read, expected a file of the case", path);
      end
    end
  endtask

  task read_line(input integer from);
    begin
      found = 1;
      letter = "/";
      while (found != 0 && letter == "/") begin
        found = $$fgets(line, from);
        letter = (found == 0) ? 8'd0 : line[8*(found-1)+:8];
      end
      length = found;
      if (found != 0 && line[7:0] == 8'd10) begin
        line = line >> 8;
        length = length - 1;
      end
      more = (found != 0) && !failed;
    end
  endtask

  task next_word(input string name, input integer from, input integer width);
    begin
      word = 64'd0;
      if (!failed) read_line(from);
      if (!failed && !more) begin
        failed = 1'b1;
        $$fatal(1, "%s ends at row %0d, expected more words; $case", name, row);
      end
      if (!failed && length != (width + 3) / 4) begin
        failed = 1'b1;
        $$fatal(1, "%s has a word of %0d digits at row %0d, expected %0d; $case", name, length, row, (width + 3) / 4);
      end
      for (place = length - 1; place >= 0 && !failed; place = place - 1) begin
        letter = line[8*place+:8];
        if (letter >= "0" && letter <= "9") word = (word << 4) | 64'(letter - 8'd48);
        else if (letter >= "a" && letter <= "f") word = (word << 4) | 64'(letter - 8'd87);
        else begin
          failed = 1'b1;
          $$fatal(1, "%s has a character that is no digit at row %0d, expected 0-9 and a-f; $case", name, row);
        end
      end
      if (!failed && width < 64 && (word >> width) != 64'd0) begin
        failed = 1'b1;
        $$fatal(1, "%s has the word %h at row %0d, expected %0d bits; $case", name, word, row, width);
      end
    end
  endtask

  task at_end(input string name, input integer from);
    begin
      if (!failed) read_line(from);
      if (!failed && more) begin
        failed = 1'b1;
        $$fatal(1, "%s has more words, expected %0d rows; $case", name, row);
      end
      $$fclose(from);
    end
  endtask
