// SPDX-License-Identifier: GPL-2.0
// DWARF: custom sections of a module as an ELF file, and that file's line tables.
#include "loader/dwarf.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <libelf.h>

#include <cstring>
#include <memory>

namespace wring::loader {

namespace {

struct ElfEnd {
  void operator()(Elf* elf) const { elf_end(elf); }
};
struct DwarfEnd {
  void operator()(Dwarf* dwarf) const { dwarf_end(dwarf); }
};

bool add_section(Elf* elf, std::uint32_t type, const void* data, std::size_t size,
                 std::uint32_t name) {
  Elf_Scn* section = elf_newscn(elf);
  Elf_Data* contents = section ? elf_newdata(section) : nullptr;
  Elf32_Shdr* header = section ? elf32_getshdr(section) : nullptr;
  if (!contents || !header) return false;
  contents->d_buf = const_cast<void*>(data);
  contents->d_size = size;
  contents->d_align = 1;
  contents->d_type = ELF_T_BYTE;
  contents->d_version = EV_CURRENT;
  header->sh_type = type;
  header->sh_name = name;
  header->sh_addralign = 1;
  return true;
}

bool write_elf(int file, const std::vector<DebugSection>& sections) {
  elf_version(EV_CURRENT);
  std::unique_ptr<Elf, ElfEnd> elf(elf_begin(file, ELF_C_WRITE, nullptr));
  Elf32_Ehdr* header = elf ? elf32_newehdr(elf.get()) : nullptr;
  if (!header) return false;
  header->e_ident[EI_DATA] = ELFDATA2LSB;
  header->e_type = ET_EXEC;
  header->e_machine = EM_NONE;
  header->e_version = EV_CURRENT;
  static const char kNamesName[] = ".shstrtab";
  std::string names(1, '\0');
  for (const DebugSection& section : sections) {
    auto name = static_cast<std::uint32_t>(names.size());
    names.append(section.name.c_str(), section.name.size() + 1);
    if (!add_section(elf.get(), SHT_PROGBITS, section.data, section.size, name)) return false;
  }
  auto name = static_cast<std::uint32_t>(names.size());
  names.append(kNamesName, sizeof(kNamesName));
  header->e_shstrndx = static_cast<Elf32_Half>(sections.size() + 1);
  return add_section(elf.get(), SHT_STRTAB, names.data(), names.size(), name) &&
         elf_update(elf.get(), ELF_C_WRITE) >= 0;
}

// The line of `address`, which belongs to the compilation unit.
SourceLine find_line(Dwarf_Die* unit, std::uint32_t address) {
  Dwarf_Line* found = dwarf_getsrc_die(unit, address);
  int number = 0;
  const char* file = found ? dwarf_linesrc(found, nullptr, nullptr) : nullptr;
  if (!file || dwarf_lineno(found, &number) != 0 || number <= 0) return {};
  Dwarf_Attribute attribute;
  const char* directory = dwarf_formstring(dwarf_attr_integrate(unit, DW_AT_comp_dir, &attribute));
  std::size_t length = directory ? std::strlen(directory) : 0;
  if (length && !std::strncmp(file, directory, length) && file[length] == '/') file += length + 1;
  return {file, static_cast<std::uint32_t>(number)};
}

}  // namespace

std::vector<SourceLine> dwarf_lines(int file, const std::vector<DebugSection>& sections,
                                    const std::vector<std::uint32_t>& addresses) {
  std::vector<SourceLine> lines(addresses.size());
  if (!write_elf(file, sections)) return lines;
  std::unique_ptr<Dwarf, DwarfEnd> dwarf(dwarf_begin(file, DWARF_C_READ));
  if (!dwarf) return lines;
  std::size_t header_size;
  for (Dwarf_Off at = 0, next;
       dwarf_nextcu(dwarf.get(), at, &next, &header_size, nullptr, nullptr, nullptr) == 0 &&
       next > at;
       at = next) {
    Dwarf_Die unit;
    if (!dwarf_offdie(dwarf.get(), at + header_size, &unit)) continue;
    for (std::size_t i = 0; i < addresses.size(); i++)
      if (!lines[i].line && dwarf_haspc(&unit, addresses[i]) > 0)
        lines[i] = find_line(&unit, addresses[i]);
  }
  return lines;
}

}  // namespace wring::loader
