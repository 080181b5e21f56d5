/* Calls dut_<step> for every row of the cases below and prints the first difference.  Made with the vector set.
 * C99, stdio only.  Exit status: 0 when every row is as expected, else 1.
 */
#include <stdint.h>
#include <stdio.h>

#include "dut.h"
$includes
$cases
int main(void)
{
$calls    return 0;
}
