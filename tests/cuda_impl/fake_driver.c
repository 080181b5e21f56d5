/* A CUDA driver of three GPUs whose memory is the host's, for tests of which device things happen on.

   Kernels do nothing but say "launch on N" on stderr. A copy, a launch or a memset is refused, with a line on stderr, when
   the device that is current is not the one that the memory, the module or the stream belongs to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long address;
typedef void *handle;
enum { DEVICES = 3, DEPTH = 64, BLOCKS = 1 << 17, REFUSED = 1, NO_CONTEXT = 201 };
enum { CONTEXT = 0x1000, MODULE = 0x5000, FUNCTION = 0x6000 };

static __thread int stack[DEPTH], depth;
static struct { address at; size_t size; int device; } blocks[BLOCKS];
static int count;

static int refuse(const char *why) { fprintf(stderr, "refused: %s\n", why); return REFUSED; }
static int current(void) { return depth ? stack[depth - 1] : -1; }
static handle numbered(int base, int device) { return (handle)(size_t)(base + device); }
static int number(handle h, int base) { return (int)((size_t)h - base); }

/* The device of size bytes at an address, -1 where they are no memory of a device. */
static int owner(address at, size_t size) {
    for (int i = 0; i < count; i++)
        if (blocks[i].size && at >= blocks[i].at && at + size <= blocks[i].at + blocks[i].size) return blocks[i].device;
    return -1;
}
static int here(address at, size_t size) { return current() >= 0 && owner(at, size) == current(); }

int my_cuInit(unsigned flags) { return 0; }
int my_cuDriverGetVersion(int *v) { *v = 13000; return 0; }
int my_cuDeviceGetCount(int *n) { *n = DEVICES; return 0; }
int my_cuDeviceGet(int *device, int n) { *device = n; return 0; }
int my_cuDeviceGetName(char *name, int length, int device) { snprintf(name, length, "fake %d", device); return 0; }
int my_cuDeviceGetUuid(char *uuid, int device) { memset(uuid, device + 1, 16); return 0; }
int my_cuDeviceGetAttribute(int *v, int which, int device) { *v = which == 75 ? 9 : which == 76 ? 0 : 1; return 0; }
int my_cuDevicePrimaryCtxRetain(handle *c, int device) { *c = numbered(CONTEXT, device); return 0; }
int my_cuCtxPushCurrent(handle c) {
    if (depth == DEPTH) return refuse("a context too many");
    stack[depth++] = number(c, CONTEXT);
    return 0;
}
int my_cuCtxPopCurrent(handle *c) {
    if (!depth) return NO_CONTEXT;
    *c = numbered(CONTEXT, stack[--depth]);
    return 0;
}
int my_cuCtxSetCurrent(handle c) {  /* takes the place of the one on top */
    if (depth) depth--;
    return c ? my_cuCtxPushCurrent(c) : 0;
}
int my_cuCtxGetCurrent(handle *c) { *c = depth ? numbered(CONTEXT, current()) : NULL; return 0; }
int my_cuCtxGetDevice(int *device) { *device = current(); return depth ? 0 : NO_CONTEXT; }
int my_cuCtxSynchronize(void) { return depth ? 0 : NO_CONTEXT; }
int my_cuMemAlloc(address *at, size_t size) {
    if (!depth) return NO_CONTEXT;
    if (count == BLOCKS) return refuse("an array too many");
    *at = (address)(size_t)calloc(1, size);
    blocks[count].at = *at, blocks[count].size = size, blocks[count++].device = current();
    return 0;
}
int my_cuMemFree(address at) {
    for (int i = 0; i < count; i++)
        if (blocks[i].size && blocks[i].at == at) { blocks[i].size = 0; free((void *)(size_t)at); return 0; }
    return refuse("freed what is no array");
}
int my_cuMemHostAlloc(handle *at, size_t size, unsigned flags) { *at = calloc(1, size); return 0; }
int my_cuMemGetInfo(size_t *left, size_t *all) { *left = *all = (size_t)1 << 34; return 0; }
int my_cuMemcpyHtoD(address to, const void *from, size_t size) {
    if (!here(to, size)) return refuse("an upload to another device");
    memcpy((void *)(size_t)to, from, size);
    return 0;
}
int my_cuMemcpyDtoH(void *to, address from, size_t size) {
    if (!here(from, size)) return refuse("a download from another device");
    memcpy(to, (void *)(size_t)from, size);
    return 0;
}
int my_cuMemcpyHtoDAsync(address to, const void *from, size_t size, handle stream) { return my_cuMemcpyHtoD(to, from, size); }
int my_cuMemcpyDtoHAsync(void *to, address from, size_t size, handle stream) { return my_cuMemcpyDtoH(to, from, size); }
struct lines {
    size_t from_x, from_y; int from_type; handle from_host; address from; handle from_array; size_t from_pitch;
    size_t to_x, to_y; int to_type; handle to_host; address to; handle to_array; size_t to_pitch; size_t width, height;
};
int my_cuMemcpy2DUnaligned(struct lines *c) {
    if (c->from_type != 2 || c->to_type != 2 || c->from_x || c->from_y || c->to_x || c->to_y) return refuse("another 2D copy");
    if (!c->height || c->width > c->from_pitch || c->width > c->to_pitch) return refuse("a 2D copy of no such lines");
    size_t last = c->height - 1;
    if (!here(c->from, last * c->from_pitch + c->width)) return refuse("a 2D copy from another device");
    if (!here(c->to, last * c->to_pitch + c->width)) return refuse("a 2D copy to another device");
    for (size_t i = 0; i < c->height; i++)
        memcpy((char *)(size_t)c->to + i * c->to_pitch, (char *)(size_t)c->from + i * c->from_pitch, c->width);
    return 0;
}
int my_cuMemcpyPeerAsync(address to, handle to_context, address from, handle from_context, size_t size, handle stream) {
    int there = number(from_context, CONTEXT);
    if (number(to_context, CONTEXT) != current() || !here(to, size)) return refuse("a peer copy to another device");
    if (there == current() || owner(from, size) != there) return refuse("a peer copy from another device");
    memcpy((void *)(size_t)to, (void *)(size_t)from, size);
    return 0;
}
int my_cuMemsetD32Async(address at, unsigned value, size_t n, handle stream) {
    if (!here(at, 4 * n)) return refuse("a memset on another device");
    for (size_t i = 0; i < n; i++) ((unsigned *)(size_t)at)[i] = value;
    return 0;
}
int my_cuPointerGetAttribute(void *value, int which, address at) {
    if (!depth) return NO_CONTEXT;
    if (owner(at, 1) < 0) return REFUSED;
    if (which == 9) { *(int *)value = owner(at, 1); return 0; }
    return refuse("another attribute");
}
int my_cuMemGetAddressRange(address *start, size_t *size, address at) {
    for (int i = 0; i < count; i++)
        if (blocks[i].size && at >= blocks[i].at && at < blocks[i].at + blocks[i].size) {
            *start = blocks[i].at, *size = blocks[i].size;
            return 0;
        }
    return REFUSED;
}
int my_cuStreamCreate(handle *stream, unsigned flags) { *stream = (handle)0x77; return 0; }
int my_cuModuleLoadDataEx(handle *m, const void *text, unsigned n, handle names, handle values) { *m = numbered(MODULE, current()); return 0; }
int my_cuModuleGetFunction(handle *f, handle m, const char *name) {
    if (m != numbered(MODULE, current())) return refuse("a module of another device");
    *f = numbered(FUNCTION, current());
    return 0;
}
int my_cuFuncSetAttribute(handle f, int which, int v) { return f == numbered(FUNCTION, current()) ? 0 : refuse("a kernel elsewhere"); }
int my_cuFuncGetAttribute(int *v, int which, handle f) { *v = 32; return 0; }
int my_cuOccupancyMaxActiveBlocksPerMultiprocessor(int *v, handle f, int threads, size_t shared) { *v = 200; return 0; }
int my_cuLaunchKernelEx(void *config, handle f, void **arguments, void **extra) {
    if (f != numbered(FUNCTION, current())) return refuse("a launch on another device");
    fprintf(stderr, "launch on %d\n", current());
    return 0;
}
static int fine(void) { return 0; }

#define GIVE(name) \
    if (!strncmp(wanted, #name, strlen(#name)) && (!wanted[strlen(#name)] || wanted[strlen(#name)] == '_')) \
        { *found = (handle)my_##name; return 0; }
int cuGetProcAddress_v2(const char *wanted, handle *found, int version, address flags, int *status) {
    if (status) *status = 0;
    if (!strncmp(wanted, "cuGetProcAddress", 16)) { *found = (handle)cuGetProcAddress_v2; return 0; }
    GIVE(cuInit) GIVE(cuDriverGetVersion) GIVE(cuDeviceGetCount) GIVE(cuDeviceGet) GIVE(cuDeviceGetName) GIVE(cuDeviceGetUuid)
    GIVE(cuDeviceGetAttribute) GIVE(cuDevicePrimaryCtxRetain) GIVE(cuCtxPushCurrent) GIVE(cuCtxPopCurrent)
    GIVE(cuCtxSetCurrent) GIVE(cuCtxGetCurrent) GIVE(cuCtxGetDevice) GIVE(cuCtxSynchronize) GIVE(cuMemAlloc) GIVE(cuMemFree) GIVE(cuMemHostAlloc)
    GIVE(cuMemGetInfo) GIVE(cuMemcpyHtoD) GIVE(cuMemcpyDtoH) GIVE(cuMemcpyHtoDAsync) GIVE(cuMemcpyDtoHAsync)
    GIVE(cuMemcpy2DUnaligned) GIVE(cuMemcpyPeerAsync) GIVE(cuMemsetD32Async) GIVE(cuPointerGetAttribute)
    GIVE(cuMemGetAddressRange) GIVE(cuStreamCreate) GIVE(cuModuleLoadDataEx) GIVE(cuModuleGetFunction)
    GIVE(cuFuncSetAttribute) GIVE(cuFuncGetAttribute) GIVE(cuOccupancyMaxActiveBlocksPerMultiprocessor) GIVE(cuLaunchKernelEx)
    *found = (handle)fine;
    return 0;
}
int cuGetProcAddress(const char *wanted, handle *found, int version, address flags) {
    return cuGetProcAddress_v2(wanted, found, version, flags, NULL);
}
int cuDriverGetVersion(int *v) { return my_cuDriverGetVersion(v); }
int cuInit(unsigned flags) { return 0; }
