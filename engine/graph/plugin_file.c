/* plugin_file.c: whether a file can be a shared library for this machine.
 *
 * One idea: the dynamic linker trusts the file; of a truncated one it maps pages that do not exist, and the process dies at the
 * first touch. So what it will map is compared with what is there, before it is asked. Format: elf(5). */
#include "engine/graph/plugin.h"
#include <elf.h>
#include <string.h>

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_NONE /* any: the dynamic linker will say */
#endif
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ORDER ELFDATA2LSB
#else
#define ORDER ELFDATA2MSB
#endif

static bool lies_within(uint64_t offset, uint64_t length, size_t size)
{
    return offset <= size && length <= size - offset;
}

static bool is_whole(const uint8_t *data, size_t size, const Elf64_Ehdr *header)
{
    if (header->e_phentsize != sizeof(Elf64_Phdr) || !lies_within(header->e_phoff, (uint64_t)header->e_phnum * sizeof(Elf64_Phdr), size))
        return false;
    if (!lies_within(header->e_shoff, (uint64_t)header->e_shnum * header->e_shentsize, size)) return false;
    for (int i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr segment;
        memcpy(&segment, data + header->e_phoff + (size_t)i * sizeof segment, sizeof segment);
        if (segment.p_type != PT_NULL && !lies_within(segment.p_offset, segment.p_filesz, size)) return false;
    }
    return true;
}

void plugin_check_file(const uint8_t *data, size_t size, Faults *faults)
{
    Elf64_Ehdr header = {0};
    if (size < SELFMAG || memcmp(data, ELFMAG, SELFMAG)) {
        faults_add(faults, "it is no shared library (ELF): build it with -shared -fPIC");
        return;
    }
    memcpy(&header, data, size < sizeof header ? size : sizeof header);
    if (size < sizeof header) faults_add(faults, "it is truncated: copy or build it again");
    else if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ORDER ||
             (MACHINE != EM_NONE && header.e_machine != MACHINE))
        faults_add(faults, "it was built for another kind of machine: build it on this one");
    else if (header.e_type != ET_DYN) 
        faults_add(faults, "it is an object file or a program, no shared library: build it with -shared -fPIC");
    else if (!is_whole(data, size, &header)) faults_add(faults, "it is truncated: copy or build it again");
}
