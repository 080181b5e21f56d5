/* Calls dut_<step> for every row of the cases below and prints the first difference.  Made with the vector set.
 * C99, stdio and stdlib only.  Exit status: 0 when every row is as expected, else 1, also when a dut_<step> calls exit.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "dut.h"
$includes
$cases
static int every_row(void)
{
$calls    return 0;
}

static int ended = 0;

/* a program that something else ends has not passed */
static void at_end(void)
{
    if (!ended) {
        printf("the program ended before the harness\n");
        fflush(stdout);
        _Exit(1);
    }
}

int main(void)
{
    int status;

    if (atexit(at_end) != 0) {
        printf("atexit failed\n");
        return 1;
    }
    status = every_row();
    ended = 1;
    return status;
}
